"""Image files below a folder, and what is left out of it."""

import os
import re
import stat
from pathlib import Path

from PIL import Image

from ..images import decoding, pillow
from ..text_tables import counted

_DICOM_SUFFIXES = {".dcm", ".dicom"}
# What Pillow knows the suffix of and does not decode: documents, films, scientific containers.
_NO_IMAGES = {*pillow.NO_IMAGES, "PDF"}
# What operating systems, archives, network drives and DICOM media put beside images.
_OF_SYSTEMS = {
    "__macosx",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "dicomdir",
    "@eadir",
    "#recycle",
    "$recycle.bin",
    "system volume information",
    "lost+found",
}
_MASK_FOLDER = re.compile(r"(?<![a-z])(?:[a-z]*masks?|segmentations?)(?![a-z])", re.IGNORECASE)
# 12_mask.png and 12_mask_1.png beside 12.png
_MASK_FILE = re.compile(r"(.+?)[ _-]+masks?(?:[ _-]*\d+)?", re.IGNORECASE)

# Why something is left out. Of these the files may be images, and a warning says so.
MASKS = "masks"
BESIDE = "images beside the folders that are read"
DANGLING = "links that lead nowhere"
REPEATED = "links to images that are there already"
# Of these DESCR says so.
LOOPS = "links to a folder that they lie in"
NO_IMAGES = "files that are no images"
HIDDEN = "hidden files and those of operating systems"

_WARNED_OF = (MASKS, BESIDE, DANGLING, REPEATED)
# The same of a single one.
_ONE = {
    MASKS: "mask",
    BESIDE: "image beside the folders that are read",
    DANGLING: "link that leads nowhere",
    REPEATED: "link to an image that is there already",
    LOOPS: "link to a folder that it lies in",
    NO_IMAGES: "file that is no image",
    HIDDEN: "hidden file or file of an operating system",
}
# Names of files that are given as examples.
_NAMED = 3


def is_mask_folder(name):
    """Whether a folder is named as one of segmentation masks."""
    return _MASK_FOLDER.search(name) is not None


class ImageFiles:
    """The image files below a folder. Links are followed; what is left out is kept.

    Parameters
    ----------
    root : Path

    Attributes
    ----------
    left_out : dict of {str: set of str}
        Reason -> paths below ``root``. A folder of masks counts with each of its files.
    """

    def __init__(self, root):
        self.root = root
        self.left_out = {}
        self._read = {}

    def folders(self, folder):
        """Return the folders in a folder, by name; images beside them are left out.

        Raises
        ------
        PermissionError
            The folder must not be read.
        """
        folders, loose, closed = self._sort(folder, self._above(folder))
        if closed:
            raise _no_permission(closed)
        for path, _ in loose:
            self.leave_out(BESIDE if is_image(path) else NO_IMAGES, path)
        return {path.name: path for path, _ in folders}

    def images(self, folder, part=None):
        """Return the images below a folder, in the order of their paths.

        Parameters
        ----------
        folder : Path
        part : object, optional
            What the folder is for. A file that is reached twice, through a link, is read once in
            one part; in two parts it is an error.

        Returns
        -------
        list of Path

        Raises
        ------
        PermissionError
            Folders must not be read; it names all of them.
        ValueError
            A link leads to an image of another part.
        """
        found, closed = [], []
        self._walk(folder, self._above(folder), found, closed)
        if closed:
            raise _no_permission(closed)
        kept = []
        for path, real in sorted(found):
            if real not in self._read:
                self._read[real] = path, part
                kept.append(path)
                continue
            first, its_part = self._read[real]
            if its_part != part:
                raise ValueError(
                    f"{self._below(path)!r} and {self._below(first)!r} are one file, through a "
                    "link: an image must not be in two classes, nor in two splits"
                )
            self.leave_out(REPEATED, path)
        return kept

    def leave_out(self, reason, path):
        """Keep what is left out, and why."""
        self.left_out.setdefault(reason, set()).add(self._below(path))

    def leave_out_rest(self, folder):
        """Leave out the images below a folder but for those that were read through links."""
        found, closed = [], []
        self._walk(folder, self._above(folder), found, closed)
        if closed:
            raise _no_permission(closed)
        for path, real in found:
            if real not in self._read:
                self.leave_out(BESIDE, path)

    def describe(self, reasons=None):
        """Say how much was left out, why, and the first names; "" where nothing was."""
        said = []
        for reason in reasons or (*_WARNED_OF, LOOPS, NO_IMAGES, HIDDEN):
            paths = sorted(self.left_out.get(reason, ()))
            if paths:
                named = ", ".join(map(repr, paths[:_NAMED])) + ", ..." * (len(paths) > _NAMED)
                what = _ONE[reason] if len(paths) == 1 else reason
                said.append(f"{len(paths)} {what} ({named})")
        return "; ".join(said)

    def warning(self):
        """Say how much was left out that may be images; "" where nothing was."""
        return self.describe(_WARNED_OF)

    def _below(self, path):
        return path.relative_to(self.root).as_posix()

    def _above(self, folder):
        """The real paths of the root and of the folders from there to ``folder``."""
        parts = folder.relative_to(self.root).parts
        return tuple(
            os.path.realpath(self.root.joinpath(*parts[:n])) for n in range(len(parts) + 1)
        )

    def _walk(self, folder, above, found, closed):
        folders, loose, not_read = self._sort(folder, above)
        closed += not_read
        stems = {path.stem for path, _ in loose}
        for path, real in loose:
            mask = _MASK_FILE.fullmatch(path.stem)
            if not is_image(path):
                self.leave_out(NO_IMAGES, path)
            elif mask and mask[1] in stems:
                self.leave_out(MASKS, path)
            else:
                found.append((path, real))
        for path, real in folders:
            if is_mask_folder(path.name):
                self._leave_out_masks(path, (*above, real), closed)
            else:
                self._walk(path, (*above, real), found, closed)

    def _leave_out_masks(self, folder, above, closed):
        folders, loose, not_read = self._sort(folder, above)
        closed += not_read
        for path, _ in loose:
            self.leave_out(MASKS, path)
        for path, real in folders:
            self._leave_out_masks(path, (*above, real), closed)

    def _sort(self, folder, above):
        """Return (path, real path) of folders and of files in a folder, and what must not be read.

        ``above`` holds the real paths of the folder and of those that it lies in.
        """
        folders, loose, closed = [], [], []
        try:
            with os.scandir(folder) as entries:
                entries = sorted(entries, key=lambda entry: entry.name)
        except PermissionError:
            return folders, loose, [folder]
        for entry in entries:
            path = Path(folder, entry.name)
            real = os.path.join(above[-1], entry.name)
            if entry.name.startswith(".") or entry.name.lower() in _OF_SYSTEMS:
                self.leave_out(HIDDEN, path)
                continue
            try:
                mode = entry.stat().st_mode if entry.is_symlink() else None
            except PermissionError:
                closed.append(path)
                continue
            except OSError:  # also a link to itself
                self.leave_out(DANGLING, path)
                continue
            if mode is not None:
                real = os.path.realpath(path)
            if entry.is_dir() if mode is None else stat.S_ISDIR(mode):
                if real in above:
                    self.leave_out(LOOPS, path)
                else:
                    folders.append((path, real))
            elif entry.is_file() if mode is None else stat.S_ISREG(mode):
                loose.append((path, real))
            else:
                self.leave_out(NO_IMAGES, path)
        return folders, loose, closed


def is_image(file):
    """Whether a file is one by its suffix or, where that says nothing, by its content.

    A broken file with an image's suffix is one, and so is one that must not be opened: the error
    comes where it is read, and not nowhere.
    """
    suffix = file.suffix.lower()
    if suffix in _DICOM_SUFFIXES:
        return True
    image_format = Image.registered_extensions().get(suffix)
    if image_format is None:
        return decoding.holds_image(str(file)) or not os.access(file, os.R_OK)
    return image_format in Image.OPEN and image_format not in _NO_IMAGES


def _no_permission(folders):
    named = ", ".join(repr(str(folder)) for folder in folders[:_NAMED])
    return PermissionError(
        f"{counted(len(folders), 'folder')} must not be read "
        f"({named}{', ...' * (len(folders) > _NAMED)}): "
        "what is in them is not known, and would be missing in silence"
    )
