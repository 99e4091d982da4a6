"""Image files that tests write and read."""

import struct
import warnings

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


def read_quietly(path, channels=1):
    """Check and read a file as a classifier does, without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file_checks.check_files([str(path)])
        return reading.read_image(str(path), channels)


def tiff_with_the_directory_first():
    """An uncompressed TIFF whose pixels come last, cut off in their middle."""
    tags = [(256, 20), (257, 20), (258, 8), (259, 1), (262, 1), (273, 200), (277, 1), (278, 20)]
    tags.append((279, 400))
    content = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags))
    content += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return content.ljust(200, b"\0") + bytes(200)
