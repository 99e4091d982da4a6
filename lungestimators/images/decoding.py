"""One file becomes pixels, whatever wrote it and whatever it is called; what cannot is named."""

import functools
import os
import stat
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from . import dicom, fits, pillow, signatures, tiff
from . import pixels as ranges

# Files named in one error; the others are counted.
_NAMED = 10

# What to do where several files were asked for.
_LEAVE_OUT = (
    'Leave these files out (the attribute reasons has their paths; fit with on_error="skip" does '
    "so)."
)

# Threads that read files: decoders let go of Python's lock.
READERS = min(4, os.cpu_count() or 1)

# Files that are remembered to be good: not every fold of a cross-validation looks again.
_REMEMBERED = 2**20

# Red, green and blue in grey, as Pillow weighs them (ITU-R 601-2).
_LUMINANCE = np.array([0.299, 0.587, 0.114])

NO_IMAGES = pillow.NO_IMAGES


class ImageReadError(ValueError):
    """Image files that cannot be read.

    Parameters
    ----------
    reasons : dict of {str: str}
        What is wrong with each file.
    advice : str, default=""
        What to do, as sentences.

    Attributes
    ----------
    reasons : dict of {str: str}
        What is wrong with each file, by its path.
    advice : str

    Examples
    --------
    >>> from lungestimators import CNNClassifier, ImageReadError
    >>> try:
    ...     CNNClassifier().fit(["1.png", "2.png"], ["healthy", "ill"])
    ... except ImageReadError as error:
    ...     print(error)
    2 of the image files cannot be read: '1.png' (there is no such file), '2.png' (there is no \
such file). Leave these files out (the attribute reasons has their paths; fit with \
on_error="skip" does so).
    """

    def __init__(self, reasons, advice=""):
        super().__init__(reasons, advice)
        self.reasons = reasons
        self.advice = advice

    def __reduce__(self):  # without it Dask's workers cannot hand the error on
        return type(self), (self.reasons, self.advice)

    def __str__(self):
        return f"{self._what()}. {self.advice}" if self.advice else self._what()

    def _what(self):
        if len(self.reasons) == 1:
            ((path, why),) = self.reasons.items()
            return f"The image file {path!r} cannot be read: {why}"
        named = [f"{path!r} ({why})" for path, why in list(self.reasons.items())[:_NAMED]]
        others = len(self.reasons) - len(named)
        return (
            f"{len(self.reasons)} of the image files cannot be read: {', '.join(named)}"
            + f" and {others} others" * bool(others)
        )


class MissingImageError(ImageReadError, FileNotFoundError):
    """An :class:`ImageReadError` of files some of which do not exist."""


def error(reasons, advice=""):
    """Return the exception for files and what is wrong with them."""
    missing = any(not os.path.exists(path) for path in reasons)
    return (MissingImageError if missing else ImageReadError)(reasons, advice)


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
        raise error(reasons, _LEAVE_OUT)
    _warn(found)


def unreadable(paths):
    """Return the files that cannot be read to their last pixel, and what is wrong with each.

    Returns
    -------
    dict of {str: str}
    """
    found = _look_at(paths, whole=True)
    return {path: seen.fault for path, seen in found.items() if seen.fault}


def with_all_others(first, paths, advice=""):
    """Return the error that one file raised, extended to all files that cannot be read."""
    found = first.reasons | unreadable(paths)
    reasons = {path: found[path] for path in dict.fromkeys([*paths, *found]) if path in found}
    return error(reasons, " ".join([_LEAVE_OUT, advice]).rstrip())


def holds_image(path):
    """Whether the content of a file, whatever its name, is DICOM or of a format Pillow knows."""
    try:
        with open(path, "rb") as file:
            start = _start(file)
            if dicom.is_dicom(start) or fits.is_fits(start):
                return True
            if tiff.is_tiff(start):
                return bool(tiff.read_layout(file))
            return Image.open(file).format not in NO_IMAGES
    except Exception:  # whatever a decoder meets in what is no image
        return False


def format_of(path):
    """Return the format of a file that can be read, and how its pixels are stored.

    Returns
    -------
    tuple of (str, str)
    """
    with open(path, "rb") as file:
        start = _start(file)
        if dicom.is_dicom(start):
            return "DICOM", "unknown"
        if fits.is_fits(start):
            return "FITS", "unknown"
        try:
            image = Image.open(file)
        except Exception:  # it can be read nevertheless: a TIFF of which Pillow knows nothing
            return "TIFF", "unknown"
        return image.format, image.mode


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
    limits : tuple of (float, float)
        The values that are black and white. All pixels lie between them, but for rounding.

    Raises
    ------
    ImageReadError, ImportError
    """
    try:
        _check_file(path)
        # Pillow is given the open file: by name it would map an uncompressed TIFF into memory, and
        # Pillow 13.0 gets the rows of such a one wrong where it is to be turned.
        with open(path, "rb") as file:
            pixels, limits = _decoded(path, file, channels)
        if limits is None:
            pixels = ranges.without_64_bits(pixels)
            limits = ranges.range_of_file(pixels)
        if pixels.ndim == 3 and channels == 1:
            if ranges.needs_float64(pixels.dtype, *limits):
                pixels, limits = ranges.to_unit(pixels, *limits), (0.0, 1.0)
            pixels = pixels @ _LUMINANCE
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        _check_pixels(pixels, limits, channels)
    except (ImageReadError, ImportError):
        raise
    except Exception as cause:  # decoders raise anything over a damaged file
        raise error({path: _reason(cause, path)}) from cause
    return pixels, limits


def _decoded(path, file, channels):
    """The pixels of an open file, whatever wrote it, and its limits, or None for those."""
    start = _start(file)
    if dicom.is_dicom(start):
        return dicom.decode(path, Image.MAX_IMAGE_PIXELS)
    if fits.is_fits(start):
        header = fits.read_header(file)
        pillow.check_size(*fits.size(header))
        return fits.decode(file, header), None
    if not tiff.is_tiff(start):
        image = Image.open(file)
        pillow.check(image)
        return pillow.decode(image, channels)
    layout = tiff.read_layout(file)
    pillow.check_size(layout.width, layout.height)
    if layout.is_plain:
        file.seek(0)
        try:
            image = Image.open(file)
        except UnidentifiedImageError:
            pass  # what Pillow does not know is read here, too
        else:
            try:
                return pillow.decode(image, channels)
            except OSError as cause:
                if name := tiff.OPTIONAL.get(layout.compression):
                    raise ValueError(
                        f"its pixels are compressed by {name}: they are damaged, or this Pillow "
                        "cannot decode them"
                    ) from cause
                raise
    pixels, limits = tiff.decode(file, layout)
    return pillow.turned(pixels, layout.orientation), limits


def _start(file):
    start = file.read(132)
    file.seek(0)
    return start


def _check_pixels(pixels, limits, channels):
    """Raise unless pixels are what every decoder promises: this is the last line of defence."""
    if pixels.ndim != 3 or not pixels.size or pixels.shape[2] not in (1, channels):
        raise ValueError(f"its decoder returned pixels of shape {pixels.shape}")
    if pixels.dtype.kind not in "biuf":
        raise ValueError(f"its decoder returned {pixels.dtype.name}")
    if not np.isfinite(limits).all():
        if not np.isfinite(pixels).all():
            raise ValueError(ranges.NOT_FINITE)
        raise ValueError(f"its decoder returned {pixels.dtype.name} between {limits}")
    low, high = map(float, limits)
    if low > high:
        raise ValueError(f"its decoder returned {low:g} as black and {high:g} as white")
    if pixels.dtype.kind in "biu" and pixels.dtype.itemsize <= 2:
        held = np.iinfo(np.uint8 if pixels.dtype.kind == "b" else pixels.dtype)
        if low <= held.min and held.max <= high:
            return  # whatever they are
    lowest, highest = float(pixels.min()), float(pixels.max())
    if not np.isfinite([lowest, highest]).all():
        raise ValueError(ranges.NOT_FINITE)
    slack = ranges.ROUNDING * (high - low)
    if lowest < low - slack or highest > high + slack:
        raise ValueError(
            f"its pixels lie in {lowest:g}..{highest:g}, where {low:g} is black and {high:g} white"
        )


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
        return _Seen(_reason(cause, path), False)


@functools.lru_cache(_REMEMBERED)
def _good(path, whole, stamp, switches):
    """Raise unless a file can be read, and return whether it has several pages or frames.

    ``stamp`` and ``switches`` are what a verdict depends on besides; bad ones are not remembered.
    """
    with open(path, "rb") as file:
        start = _start(file)
        if dicom.is_dicom(start):
            several, seems_whole = dicom.check(path, Image.MAX_IMAGE_PIXELS) > 1, True
        elif fits.is_fits(start):  # decoding one is hardly more than reading it
            several, seems_whole = False, False
        elif tiff.is_tiff(start):
            several, seems_whole = _looks_like_tiff(file, stamp[0])
        else:
            image = Image.open(file)
            pillow.check(image)
            several = getattr(image, "is_animated", False)
            seems_whole = whole or pillow.seems_whole(image, stamp[0])
    if whole or not seems_whole:
        decode(path, 3)
    return several


def _looks_like_tiff(file, n_bytes):
    """Whether an open TIFF has several pages, and whether it seems to be whole."""
    layout = tiff.read_layout(file)
    pillow.check_size(layout.width, layout.height)
    file.seek(0)
    try:
        if not layout.is_plain or not Image.open(file):
            tiff.check(layout)
    except UnidentifiedImageError:
        tiff.check(layout)
    return layout.several, not tiff.ends_too_early(layout, n_bytes)


def _warn(found):
    several = [path for path, seen in found.items() if seen.several]
    if several:
        holding = "1 image file holds" if len(several) == 1 else f"{len(several)} image files hold"
        warnings.warn(
            f"{holding} several pages or frames, of which the first is read: "
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


def _reason(cause, path=None):
    """What went wrong, in one line."""
    if isinstance(cause, FileNotFoundError):
        return "there is no such file"
    if isinstance(cause, MemoryError):
        return "it needs more memory than there is"
    text = getattr(cause, "strerror", None) or " ".join(str(cause).split())
    described = None
    if isinstance(cause, UnidentifiedImageError):
        described = path and signatures.describe(path)
        text = "it is not an image: neither DICOM nor a format that Pillow knows"
    elif isinstance(cause, OSError | SyntaxError | ValueError) and path:
        described = signatures.undecoded_jpeg(path)
    if text.startswith("decoder error"):
        text = f"its compressed pixels are damaged, or end too early ({text})"
    return described or text[:200] or type(cause).__name__
