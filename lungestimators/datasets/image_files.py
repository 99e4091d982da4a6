"""Image files below a folder, and the files of it that are left out."""

import os
import re
import stat
from pathlib import Path

from PIL import Image

from ..images import decoding, pillow
from ..text_tables import counted

_DICOM_SUFFIXES = {".dcm", ".dicom"}
# Formats whose suffix Pillow knows, and that it cannot decode: documents, films, containers.
_NO_IMAGES = {*pillow.NO_IMAGES, "PDF"}
# Files that operating systems, archives, network drives and DICOM media put beside images.
_SYSTEM_NAMES = {
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

# Why a file is left out. Files left out for these reasons may be images: a warning names them.
MASKS = "masks"
BESIDE = "images beside the folders that are read"
DANGLING = "links that lead nowhere"
REPEATED = "links to images that are there already"
# Files left out for these reasons are named in DESCR only.
LOOPS = "links to a folder that they lie in"
NO_IMAGES = "files that are no images"
HIDDEN = "hidden files and those of operating systems"

_POSSIBLE_IMAGES = (MASKS, BESIDE, DANGLING, REPEATED)
# The reason of a single file.
_REASON_OF_ONE = {
    MASKS: "mask",
    BESIDE: "image beside the folders that are read",
    DANGLING: "link that leads nowhere",
    REPEATED: "link to an image that is there already",
    LOOPS: "link to a folder that it lies in",
    NO_IMAGES: "file that is no image",
    HIDDEN: "hidden file or file of an operating system",
}
# How many files a message names.
_N_NAMED = 3


def is_folder_of_mask_files(name):
    """Whether the name of a folder says that it holds segmentation masks."""
    return _MASK_FOLDER.search(name) is not None


class ImageFileScan:
    """Finds the image files below a folder, follows links, and keeps which files are left out.

    Parameters
    ----------
    root : Path

    Attributes
    ----------
    left_out : dict of {str: set of str}
        Reason to paths below ``root``. Of a folder of masks, each file counts.
    """

    def __init__(self, root):
        self.root = root
        self.left_out = {}
        self._first_path_of = {}  # real path -> path and part that it was first found in

    def folders_in(self, folder):
        """Return a dict of name to path of the folders in a folder; leave out files beside them.

        Raises
        ------
        PermissionError
            The folder must not be read.
        """
        folders, loose, closed = self._list_folder(folder, self._real_paths_to(folder))
        if closed:
            raise _image_files_permission_error(closed)
        for path, _ in loose:
            self.leave_out(BESIDE if is_image_file(path) else NO_IMAGES, path)
        return {path.name: path for path, _ in folders}

    def images_below(self, folder, part=None):
        """Return the images below a folder, sorted by path, each once.

        Parameters
        ----------
        folder : Path
        part : object, optional
            Class and split of the folder. If a link leads to a file that was found before, the
            link is left out; in another part it is an error.

        Returns
        -------
        list of Path

        Raises
        ------
        PermissionError
            Folders must not be read; the error names them.
        ValueError
            A link leads to an image of another part.
        """
        found, closed = [], []
        self._collect_images(folder, self._real_paths_to(folder), found, closed)
        if closed:
            raise _image_files_permission_error(closed)
        kept = []
        for path, real in sorted(found):
            if real not in self._first_path_of:
                self._first_path_of[real] = path, part
                kept.append(path)
                continue
            first, its_part = self._first_path_of[real]
            if its_part != part:
                raise ValueError(
                    f"{self._path_below_image_folder(path)!r} and "
                    f"{self._path_below_image_folder(first)!r} are one file, through a link: an "
                    "image must not be in two classes, nor in two splits"
                )
            self.leave_out(REPEATED, path)
        return kept

    def leave_out(self, reason, path):
        """Keep a path that is left out, and the reason."""
        self.left_out.setdefault(reason, set()).add(self._path_below_image_folder(path))

    def leave_out_images_below(self, folder):
        """Leave out the images below a folder, except those that links have led to before."""
        found, closed = [], []
        self._collect_images(folder, self._real_paths_to(folder), found, closed)
        if closed:
            raise _image_files_permission_error(closed)
        for path, real in found:
            if real not in self._first_path_of:
                self.leave_out(BESIDE, path)

    def describe_left_out_image_files(self, reasons=None):
        """Return a text: how many files were left out, why, and the first names; or ""."""
        said = []
        for reason in reasons or (*_POSSIBLE_IMAGES, LOOPS, NO_IMAGES, HIDDEN):
            paths = sorted(self.left_out.get(reason, ()))
            if paths:
                named = ", ".join(map(repr, paths[:_N_NAMED])) + ", ..." * (len(paths) > _N_NAMED)
                what = _REASON_OF_ONE[reason] if len(paths) == 1 else reason
                said.append(f"{len(paths)} {what} ({named})")
        return "; ".join(said)

    def describe_possible_image_files(self):
        """Return a text: how many files were left out that may be images; or ""."""
        return self.describe_left_out_image_files(_POSSIBLE_IMAGES)

    def _path_below_image_folder(self, path):
        """Return a path below the root, with ``/`` between folders."""
        return path.relative_to(self.root).as_posix()

    def _real_paths_to(self, folder):
        """Return the real paths of the root and of all folders on the way to ``folder``."""
        parts = folder.relative_to(self.root).parts
        return tuple(
            os.path.realpath(self.root.joinpath(*parts[:n])) for n in range(len(parts) + 1)
        )

    def _collect_images(self, folder, above, found, closed):
        """Append to ``found`` the images below a folder, to ``closed`` folders not to be read."""
        folders, loose, not_read = self._list_folder(folder, above)
        closed += not_read
        stems = {path.stem for path, _ in loose}
        for path, real in loose:
            mask = _MASK_FILE.fullmatch(path.stem)
            if not is_image_file(path):
                self.leave_out(NO_IMAGES, path)
            elif mask and mask[1] in stems:
                self.leave_out(MASKS, path)
            else:
                found.append((path, real))
        for path, real in folders:
            if is_folder_of_mask_files(path.name):
                self._leave_out_masks(path, (*above, real), closed)
            else:
                self._collect_images(path, (*above, real), found, closed)

    def _leave_out_masks(self, folder, above, closed):
        """Leave out all files below a folder of masks."""
        folders, loose, not_read = self._list_folder(folder, above)
        closed += not_read
        for path, _ in loose:
            self.leave_out(MASKS, path)
        for path, real in folders:
            self._leave_out_masks(path, (*above, real), closed)

    def _list_folder(self, folder, above):
        """List a folder, and leave out hidden files, loops of links and links that lead nowhere.

        Parameters
        ----------
        folder : Path
        above : tuple of str
            The real paths of the folders that it lies in, and of the folder itself.

        Returns
        -------
        folders, loose : list of (Path, str)
            Path and real path of the folders and of the files in it.
        closed : list of Path
            Folders and links that must not be read.
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
            if entry.name.startswith(".") or entry.name.lower() in _SYSTEM_NAMES:
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


def is_image_file(file):
    """Whether a file is an image by its suffix or, without a known suffix, by its content.

    A broken file with the suffix of an image counts as an image, and so does a file that must not
    be opened: then an error names it when it is read.
    """
    suffix = file.suffix.lower()
    if suffix in _DICOM_SUFFIXES:
        return True
    image_format = Image.registered_extensions().get(suffix)
    if image_format is None:
        return decoding.is_decodable(str(file)) or not os.access(file, os.R_OK)
    return image_format in Image.OPEN and image_format not in _NO_IMAGES


def _image_files_permission_error(folders):
    """Return an error that names folders that must not be read."""
    named = ", ".join(repr(str(folder)) for folder in folders[:_N_NAMED])
    return PermissionError(
        f"{counted(len(folders), 'folder')} must not be read "
        f"({named}{', ...' * (len(folders) > _N_NAMED)}): "
        "what is in them is not known, and would be missing in silence"
    )
