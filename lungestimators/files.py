"""One file becomes pixels, whatever wrote it and whatever it is called; what cannot is named."""

import functools
import os
import stat
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, ImageFile, ImageOps, UnidentifiedImageError

from . import dicom

# Files named in one error; the others are counted.
_NAMED = 10

# Threads that read files: decoders let go of Python's lock.
READERS = min(4, os.cpu_count() or 1)

# Files that are remembered to be good: not every fold of a cross-validation looks again.
_REMEMBERED = 2**20

# Red, green and blue in grey, as Pillow weighs them (ITU-R 601-2).
_LUMINANCE = np.array([0.299, 0.587, 0.114])

# What Pillow opens without decoding it, or hands to another program.
NO_IMAGES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}

# How whole files of these formats end. One that does not is decoded before training begins.
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}


class ImageReadError(ValueError):
    """Image files that cannot be read.

    Parameters
    ----------
    reasons : dict of {str: str}
        What is wrong with each file.

    Attributes
    ----------
    reasons : dict of {str: str}

    Examples
    --------
    >>> from lungestimators import CNNClassifier, ImageReadError
    >>> try:
    ...     CNNClassifier().fit(["1.png", "2.png"], ["healthy", "ill"])
    ... except ImageReadError as error:
    ...     print(error)
    2 of the image files cannot be read: '1.png' (there is no such file), '2.png' (there is no \
such file)
    """

    def __init__(self, reasons):
        super().__init__(reasons)
        self.reasons = reasons

    def __reduce__(self):  # without it Dask's workers cannot hand the error on
        return type(self), (self.reasons,)

    def __str__(self):
        if len(self.reasons) == 1:
            ((path, why),) = self.reasons.items()
            return f"The image file {path!r} cannot be read: {why}"
        named = [f"{path!r} ({why})" for path, why in list(self.reasons.items())[:_NAMED]]
        others = len(self.reasons) - len(named)
        return (
            f"{len(self.reasons)} of the image files cannot be read: {', '.join(named)}"
            + f" and {others} others; the attribute reasons has them all" * bool(others)
        )


class MissingImageError(ImageReadError, FileNotFoundError):
    """An :class:`ImageReadError` of files some of which do not exist."""


def error(reasons):
    """Return the exception for files and what is wrong with them."""
    missing = any(not os.path.exists(path) for path in reasons)
    return (MissingImageError if missing else ImageReadError)(reasons)


def check(paths):
    """Raise unless the header of every file is that of an image; all bad files are named at once.

    Files of several pages or frames are counted in one warning.

    Raises
    ------
    ImageReadError
        Of files that do not exist, a :class:`FileNotFoundError` as well.
    ImportError
        There are DICOM files, and pydicom is not installed.
    """
    found = _look_at(paths, whole=False)
    reasons = {path: seen.fault for path, seen in found.items() if seen.fault}
    if reasons:
        raise error(reasons)
    _warn(found)


def unreadable(paths):
    """Return the files that cannot be read to their last pixel, and what is wrong with each.

    Returns
    -------
    dict of {str: str}
    """
    found = _look_at(paths, whole=True)
    return {path: seen.fault for path, seen in found.items() if seen.fault}


def with_all_others(first, paths):
    """Return the error that one file raised, extended to all files that cannot be read."""
    return error(first.reasons | unreadable(paths))


def holds_image(path):
    """Whether the content of a file, whatever its name, is DICOM or of a format Pillow knows."""
    try:
        with open(path, "rb") as file:
            if not _is_dicom(file):
                return Image.open(file).format not in NO_IMAGES
        return True
    except Exception:  # whatever a decoder meets in what is no image
        return False


def decode(path, channels):
    """Decode one file at its full depth and leave its pixels as they are.

    Parameters
    ----------
    path : str
    channels : {1, 3}
        Grey or RGB is wanted.

    Returns
    -------
    pixels : ndarray of shape (height, width, 1 or 3)
        A grey file has one channel also where RGB is wanted; with ``channels=1`` every file has.
    limits : tuple of (float, float) or None
        The values that are black and white; None where the file does not say.

    Raises
    ------
    ImageReadError, ImportError
    """
    try:
        _check_file(path)
        # Pillow is given the open file: by name it would map an uncompressed TIFF into memory, and
        # Pillow 13.0 gets the rows of such a one wrong where it is to be turned.
        with open(path, "rb") as file:
            if _is_dicom(file):
                pixels, limits = dicom.decode(path, Image.MAX_IMAGE_PIXELS)
                if pixels.ndim == 3 and channels == 1:
                    pixels = pixels @ _LUMINANCE
            else:
                image = Image.open(file)
                _check_image(image)
                pixels, limits = _pixels(image, channels)
    except (ImageReadError, ImportError):
        raise
    except Exception as cause:  # decoders raise anything over a damaged file
        raise error({path: _reason(cause)}) from cause
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise ImageReadError({path: "it holds NaN or infinity"})
    return pixels.reshape(*pixels.shape[:2], -1), limits


def _is_dicom(file):
    start = file.read(132)
    file.seek(0)
    return dicom.is_dicom(start)


def _pixels(image, channels):
    """The array of an open Pillow image, turned as its EXIF says, and its limits."""
    tags = image.tag_v2 if image.format == "TIFF" else {}
    bits, white_is_zero = tags.get(258, (0,))[0], tags.get(262) == 0
    unsigned = tags.get(339, (0,))[0] == 1
    is_portable_map = image.format == "PPM"
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        pixels = np.asarray(image)
        pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
        limits = None
        if image.mode == "I" and bits == 32 and unsigned:  # Pillow has signed ones only
            pixels = pixels.view(np.uint32)
        elif image.mode == "I" and is_portable_map:  # Pillow has scaled what it declares as white
            limits = (0.0, 65535.0)
        # Less than a sixteenth of what the bits can hold would be a black image.
        elif pixels.dtype == np.uint16 and 8 < bits < 16 and pixels.max() >= 2 ** (bits - 4):
            limits = (0.0, 2.0**bits - 1)
        if white_is_zero:  # Pillow inverts those of 8 bits and fewer
            high = _white(pixels) if limits is None else limits[1]
            pixels, limits = high - pixels.astype(np.float64), (0.0, high)
        return pixels, limits
    if image.mode == "LAB":
        srgb = ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(image, ImageCms.createProfile("LAB"), srgb, 0, "RGB")
    elif image.mode in ("La", "RGBa"):
        image = image.convert(image.mode[:-1] + "A")
    grey = channels == 1 or image.mode in ("1", "L", "LA")
    return np.asarray(image.convert("L" if grey else "RGB")), (0.0, 255.0)


def _white(pixels):
    """What the largest value of a file that does not say so is, where zero is white."""
    steps = (1.0, 255.0, 4095.0, 65535.0) if pixels.dtype.kind == "f" else (255.0, 4095.0, 65535.0)
    highest = float(pixels.max())
    return next((step for step in steps if highest <= step), highest)


class _Seen(NamedTuple):
    """What a look at a file found."""

    fault: str | None
    several: bool  # pages or frames


def _look_at(paths, whole):
    """Look at each file once, in threads; path -> _Seen."""
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        warnings.warn(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set: what is missing of a truncated file is "
            "filled with grey, and the file is taken for a whole one.",
            UserWarning,
            stacklevel=4,
        )
    paths = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(READERS) as pool:
        try:
            found = list(pool.map(functools.partial(_seen, whole=whole), paths))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return dict(zip(paths, found, strict=True))


def _seen(path, whole):
    try:
        state = _check_file(path)
    except Exception as cause:
        return _Seen(_reason(cause), False)
    stamp = (state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    switches = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    try:
        return _Seen(None, _good(os.path.abspath(path), whole, stamp, switches))
    except ImageReadError as cause:
        return _Seen(next(iter(cause.reasons.values())), False)
    except ImportError:
        raise
    except Exception as cause:  # decoders raise anything over a damaged file
        return _Seen(_reason(cause), False)


@functools.lru_cache(_REMEMBERED)
def _good(path, whole, stamp, switches):
    """Raise unless a file can be read, and return whether it has several pages or frames.

    ``stamp`` and ``switches`` are what a verdict depends on besides; bad ones are not remembered.
    """
    with open(path, "rb") as file:
        if _is_dicom(file):
            several = dicom.check(path, Image.MAX_IMAGE_PIXELS) > 1
        else:
            image = Image.open(file)
            _check_image(image)
            several = getattr(image, "is_animated", False)
            whole = whole or not _ends_well(file, image.format)
    if whole:
        decode(path, 3)
    return several


def _ends_well(file, image_format):
    end = _ENDS.get(image_format, b"")
    file.seek(-len(end), os.SEEK_END)
    return file.read() == end


def _warn(found):
    several = [path for path, seen in found.items() if seen.several]
    if several:
        warnings.warn(
            f"{len(several)} image files hold several pages or frames, of which the first is read: "
            + ", ".join(map(repr, several[:_NAMED]))
            + " ..." * (len(several) > _NAMED),
            UserWarning,
            stacklevel=5,
        )


def _check_file(path):
    """Raise unless there is something to read, and return its state."""
    state = os.stat(path)
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError("it is a folder: lungestimators.load_images lists the images in it")
    if not stat.S_ISREG(state.st_mode):
        raise ValueError("it is no regular file")
    if state.st_size == 0:
        raise ValueError("the file is empty")
    return state


def _check_image(image):
    """Raise for an open Pillow image that is not to be decoded."""
    if image.format in NO_IMAGES:
        raise ValueError(f"it is {image.format}, which Pillow does not decode by itself")
    n_pixels = image.size[0] * image.size[1]
    if Image.MAX_IMAGE_PIXELS and n_pixels > Image.MAX_IMAGE_PIXELS:
        raise ValueError(
            f"it claims {n_pixels} pixels, above PIL.Image.MAX_IMAGE_PIXELS = "
            f"{Image.MAX_IMAGE_PIXELS}"
        )


def _reason(cause):
    """What went wrong, in one line."""
    if isinstance(cause, FileNotFoundError):
        return "there is no such file"
    if isinstance(cause, UnidentifiedImageError):
        return "it is not an image: neither DICOM nor a format that Pillow knows"
    if isinstance(cause, MemoryError):
        return "it needs more memory than there is"
    text = getattr(cause, "strerror", None) or " ".join(str(cause).split())
    return text[:200] or type(cause).__name__
