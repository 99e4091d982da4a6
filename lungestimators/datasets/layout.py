"""The layout of a data set's folders: which are classes, which are splits, which are neither."""

import re

from ..text_tables import counted, printable
from .image_files import BESIDE, is_folder_of_mask_files

# The beginning of a split's name -> the split, in the order in which they are returned.
_SPLITS = {"tr": "train", "va": "val", "te": "test"}
# Train, training_set, 02-validation, test images
_SPLIT_NAME = re.compile(
    r"(?:\d+[ _.-]*)?(train|training|val|valid|validation|test|testing)"
    r"(?:[ _.-]*(?:set|split|data|dataset|images?|imgs?|\d+))*",
    re.IGNORECASE,
)
# stage1_train and trainA beside stage1_test and testA may be splits, or splits and classes.
_SPLIT_WORD = re.compile(r"(?<![A-Za-z])(?i:(train|val|test)(?:ing|id|idation)?)(?![a-z])")
_IMAGES_NAME = re.compile(r"images?|imgs?|cxr(?:[ _-]?png)?", re.IGNORECASE)


def find_layout_of_splits_and_classes(scan):
    """Sort the images below a folder by split and class.

    Parameters
    ----------
    scan : ImageFileScan
        Of the folder; it keeps the files that are left out.

    Returns
    -------
    rows : list of (Path, str, str or None)
        File, class and split.
    target_names : list of str
    has_splits : bool

    Raises
    ------
    ValueError
        Whether a folder is a class or a split is not clear, or splits have different classes.
    """
    folders, others = _find_layout_of_splits(scan)
    if folders is None:
        classes = _layout_of_classes(scan, scan.root)
        splits = _layout_of_splits_below_classes(scan.root, classes)
        rows = [
            (file, name, splits and splits[file])
            for name in sorted(classes)
            for file in classes[name]
        ]
        return rows, sorted(classes), splits is not None
    classes = {split: _layout_of_classes(scan, folder, split) for split, folder in folders.items()}
    target_names = sorted(classes["train"])
    for split, files_of in classes.items():
        if sorted(files_of) != target_names:
            raise ValueError(
                f"The class folders of {str(scan.root)!r} differ: "
                f"{folders['train'].name}/ has {target_names}, "
                f"{folders[split].name}/ has {sorted(files_of)}"
            )
    for folder in others:
        scan.leave_out_images_below(folder)
    rows = [
        (file, name, split)
        for split, files_of in classes.items()
        for name in target_names
        for file in files_of[name]
    ]
    return rows, target_names, True


def _split_in_layout(name):
    """Return the split that a folder is called after, or None."""
    match = _SPLIT_NAME.fullmatch(name.strip())
    return match and _SPLITS[match[1].lower()[:2]]


def _find_layout_of_splits(scan):
    """Return a dict of split to folder (None if there are no splits) and the other folders."""
    path, folders, others = scan.root, {}, []
    for name, folder in scan.folders_in(scan.root).items():
        split = _split_in_layout(name)
        if split in folders:
            raise ValueError(
                f"{str(path)!r} holds {folders[split].name}/ and {name}/, both for {split!r}: "
                "bring them together, or pass the folder of one split"
            )
        if split:
            folders[split] = folder
        else:
            others.append(folder)
    if not folders:
        return None, others
    named = ", ".join(f"{folder.name}/" for folder in folders.values())
    if "train" not in folders:
        beside = ", ".join(f"{printable(folder.name)}/" for folder in others)
        raise ValueError(
            f"{str(path)!r} holds {named} but no train/"
            + f", and {beside} beside it: a folder of this name is taken for a split, not for a "
            "class. Rename it if it is one" * bool(others)
        )
    return {split: folders[split] for split in _SPLITS.values() if split in folders}, others


def _layout_of_classes(scan, folder, split=None):
    """Return a dict of class name to its image files, sorted; raise if the classes are wrong."""
    folders = scan.folders_in(folder)
    _check_layout_of_class_folders(folder, folders)
    classes = {name: scan.images_below(child, (name, split)) for name, child in folders.items()}
    empty = sorted(name for name, files_of in classes.items() if not files_of)
    if empty:
        left_out = scan.describe_left_out_image_files()
        raise ValueError(
            f"{str(folder)!r}: no image file in {empty}; images are DICOM or of a format that "
            "Pillow reads" + f". Left out: {left_out}" * bool(left_out)
        )
    if len(classes) < 2:
        loose = len(scan.left_out.get(BESIDE, []))
        raise ValueError(
            f"{str(folder)!r} must hold one folder of images a class, two or more; "
            f"it holds {sorted(classes) or 'no folder'}"
            + f" and {counted(loose, 'image')}: load_images lists a folder without classes"
            * bool(loose)
        )
    return classes


def _check_layout_of_class_folders(folder, names):
    """Raise if the names of folders say that they may be no classes, or two may be one class."""
    masks = sorted(filter(is_folder_of_mask_files, names))
    others = sorted(name for name in names if _IMAGES_NAME.fullmatch(name))
    if masks and others:
        raise ValueError(
            f"{str(folder)!r} holds {others[0]}/ and {printable(masks[0])}/, which are no classes: "
            "pass a folder with one sub-folder a class, or a list of labels to load_image_table"
        )
    splits = sorted(filter(_split_in_layout, names))
    if splits:
        raise ValueError(
            f"{str(folder)!r} holds {splits[0]}/: a folder of this name is a split, not a class. "
            "Pass the folder that holds the splits, or rename the class"
        )
    words = {name: _SPLIT_WORD.search(name) for name in names}
    said = {word[1].lower() for word in words.values() if word}
    if "train" in said and len(said) > 1:
        found = ", ".join(f"{printable(name)}/" for name in sorted(names) if words[name])
        raise ValueError(
            f"{str(folder)!r} holds {found}, which may be splits or classes: rename them to train/ "
            "and test/ if they are splits, or pass the folder that holds the classes"
        )
    spellings = {}
    for name in sorted(names):
        first = spellings.setdefault(name.strip().casefold(), name)
        if first != name:
            raise ValueError(
                f"{str(folder)!r} holds {first!r} and {name!r}, which may be one class: give two "
                "classes names that differ in more than case and spaces, or bring them together"
            )


def _layout_of_splits_below_classes(path, classes):
    """Return a dict of image file to split if class folders hold the splits; None if none does.

    Raises
    ------
    ValueError
        Some images lie in folders named like splits and others do not, or such a folder lies in
        another folder or holds folders: these could be the classes.
    """
    splits, doubtful = {}, []
    for file in (file for files_of in classes.values() for file in files_of):
        _, *folders = file.relative_to(path).parent.parts
        said = [_split_in_layout(name) for name in folders]
        splits[file] = said[0] if said else None
        others = [name for name in folders[1:] if not _IMAGES_NAME.fullmatch(name)]
        if any(said[1:]) or (splits[file] and others):
            doubtful.append(file)
    if not any(splits.values()) and not doubtful:
        return None
    doubtful += [file for file, split in splits.items() if split is None]
    if doubtful:
        raise ValueError(
            f"Below the folders {sorted(classes)} of {str(path)!r} there are folders named like "
            "splits (train, val, test), and which folders are the classes is not clear, such as "
            f"for {doubtful[0].relative_to(path).as_posix()!r}: pass the folder that holds train/ "
            "and test/, with the class folders in them, or a CSV file to load_image_table"
        )
    return splits
