"""Numbers of things, in words."""


def counted(n, noun):
    """Return a number of things: 1 image, 1,000 images."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
