"""Numbers of things in words, and text that can be printed."""


def counted(n, noun):
    """Return a number of things: 1 image, 1,000 images."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def printable(text):
    """Escape what cannot be printed, such as bytes of a file name that are not UTF-8."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
