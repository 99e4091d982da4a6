"""From the bytes of a file, or an array, to pixels in 0..1 that mean what the file says."""

from .errors import ImageReadError

__all__ = ["ImageReadError"]
