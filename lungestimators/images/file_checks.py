"""Which of many image files cannot be read, and why: headers alone, or to the last pixel."""

import functools
import os
import warnings
from typing import NamedTuple

from PIL import Image, ImageFile, UnidentifiedImageError

from . import dicom, pillow, signatures, tiff
from .decoding import check_file_to_decode, decode
from .errors import LEAVE_OUT, ImageReadError, image_read_error, reason_of_read_error
from .file_times import was_changed_a_moment_ago
from .threads import map_in_threads

# Files named in one warning.
_NAMED = 10

# Good files that are remembered: the folds of a cross-validation check each file once. A program
# that predicts new files for months keeps no more than that, about 250 MB.
_REMEMBERED = 2**19


class _FileState(NamedTuple):
    """What the check of one file found."""

    fault: str | None
    has_several: bool  # pages or frames


def check_files(paths):
    """Raise unless the header of every file is that of an image; all bad files are named at once.

    One warning counts the files of several pages or frames.

    Parameters
    ----------
    paths : list of str

    Raises
    ------
    ImageReadError
        Of files that do not exist, a :class:`FileNotFoundError` as well.
    ImportError
        There are DICOM files, and pydicom is not installed.
    """
    states = _check_each_file(paths, whole=False)
    reasons = {path: state.fault for path, state in states.items() if state.fault}
    if reasons:
        raise image_read_error(reasons, LEAVE_OUT)
    _warn_of_files_of_several_pages(states)


def unreadable_files(paths):
    """Return the files that cannot be read to their last pixel, and what is wrong with each.

    Parameters
    ----------
    paths : list of str

    Returns
    -------
    dict of {str: str}
    """
    states = _check_each_file(paths, whole=True)
    return {path: state.fault for path, state in states.items() if state.fault}


def check_files_after_error(first, paths, advice=""):
    """Return the error of one unreadable file, extended to all files that cannot be read.

    Parameters
    ----------
    first : ImageReadError
    paths : list of str
        The files to check.
    advice : str
        What to do besides leaving the files out.

    Returns
    -------
    ImageReadError
    """
    found = first.reasons | unreadable_files(paths)
    reasons = {path: found[path] for path in dict.fromkeys([*paths, *found]) if path in found}
    return image_read_error(reasons, " ".join([LEAVE_OUT, advice]).rstrip())


def _check_each_file(paths, whole):
    """Check each file once, in threads; return a dict from its path to its _FileState."""
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        warnings.warn(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set: what is missing of a truncated file is "
            "filled with grey, and the file is taken for a whole one.",
            UserWarning,
            stacklevel=4,
        )
    paths = list(dict.fromkeys(paths))
    states = map_in_threads(functools.partial(_check_one_file, whole=whole), paths)
    return dict(zip(paths, states, strict=True))


def _check_one_file(path, whole):
    """Check the header of one file, or all of it, and return its _FileState."""
    try:
        state = check_file_to_decode(path)
    except Exception as cause:
        return _FileState(reason_of_read_error(cause), False)
    stamp = (state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    switches = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    check = _check_file_content
    if was_changed_a_moment_ago(state):
        check = check.__wrapped__  # such as the files of a service, which are read once
    try:
        return _FileState(None, check(os.path.abspath(path), whole, stamp, switches))
    except ImageReadError as cause:
        return _FileState(next(iter(cause.reasons.values())), False)
    except ImportError:
        raise
    except Exception as cause:  # decoders raise anything over a damaged file
        return _FileState(reason_of_read_error(cause, path), False)


@functools.lru_cache(_REMEMBERED)
def _check_file_content(path, whole, stamp, switches):
    """Raise unless a file can be read, and return whether it has several pages or frames.

    ``stamp`` and ``switches`` are arguments because the result depends on them. Files that cannot
    be read are not remembered.
    """
    with open(path, "rb") as file:
        start = signatures.first_bytes(file)
        if signatures.starts_as_dicom(start):
            several, seems_whole = (
                dicom.read_and_check_dicom(path, Image.MAX_IMAGE_PIXELS) > 1,
                True,
            )
        elif signatures.starts_as_fits(start):  # decoding FITS is hardly more than reading the file
            several, seems_whole = False, False
        elif signatures.starts_as_tiff(start):
            several, seems_whole = _check_file_as_tiff(file, stamp[0])
        else:
            image = Image.open(file)
            pillow.check_opened_by_pillow(image)
            several = getattr(image, "is_animated", False)
            seems_whole = whole or pillow.seems_whole_to_pillow(image, stamp[0])
    if whole or not seems_whole:
        decode(path, 3)
    return several


def _check_file_as_tiff(file, n_bytes):
    """Check an open TIFF; return whether it has several pages, and whether it seems to be whole."""
    layout = tiff.read_tiff_layout(file)
    pillow.check_pillow_limit(layout.width, layout.height)
    file.seek(0)
    try:
        if not layout.is_plain or not Image.open(file):
            tiff.check_tiff_layout(layout)
    except UnidentifiedImageError:
        tiff.check_tiff_layout(layout)
    return layout.has_several_pages, not tiff.tiff_ends_too_early(layout, n_bytes)


def _warn_of_files_of_several_pages(states):
    """Warn once of all files of several pages or frames."""
    several = [path for path, state in states.items() if state.has_several]
    if several:
        holding = "1 image file holds" if len(several) == 1 else f"{len(several)} image files hold"
        warnings.warn(
            f"{holding} several pages or frames, of which the first is read: "
            + ", ".join(map(repr, several[:_NAMED]))
            + " ..." * (len(several) > _NAMED),
            UserWarning,
            stacklevel=5,
        )
