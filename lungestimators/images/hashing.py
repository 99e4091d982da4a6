"""Hash the bytes of images: a digest, and what it is made of, one part after another."""

import xxhash


def digest(*parts):
    """Return a 128-bit hash of byte strings or arrays."""
    return update_hash(xxhash.xxh3_128(), *parts).digest()


def update_hash(hasher, *parts):
    """Add byte strings or arrays to a hash object of xxhash, and return it."""
    for part in parts:
        hasher.update(part)
        hasher.update(b"/")
    return hasher
