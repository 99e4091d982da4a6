"""Image files that tests write and read."""

import numpy as np
from PIL import Image

from lungestimators.images import file_checks, reading

GRADIENT = np.linspace(0, 255, 48 * 64).astype(np.uint8).reshape(48, 64)


def save(path, array=GRADIENT, **options):
    """Save an array as an image and return the path as a str."""
    Image.fromarray(array).save(path, **options)
    return str(path)


def read(path, channels=1):
    """Check and read a file as a classifier does."""
    file_checks.check_files([str(path)])
    return reading.read_image(str(path), channels)


def damage(path):
    """Damage the pixels of a TIFF and leave its header and its end alone."""
    content = bytearray(path.read_bytes())
    content[40:400] = bytes(360)
    path.write_bytes(content)
