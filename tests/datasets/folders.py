"""Folders of small images that the tests of data sets share."""

from pathlib import Path

from PIL import Image


def save(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(folder / name, "PNG")


def link(folder, name, to):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).symlink_to(to)


def rows(lungs, folder):
    """(path below the folder, class, split) of each image, as a set."""
    below = [Path(path).relative_to(folder).as_posix() for path in lungs.data]
    split = [None] * len(below) if lungs.split is None else lungs.split.tolist()
    return set(zip(below, lungs.target.tolist(), split, strict=True))


def make(folder, *classes, size=(8, 8)):
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(number + 1):
            Image.new("L", size, 50 * number).save(folder / name / f"{i}.png")
