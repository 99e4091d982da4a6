"""Outlines of LungFields drawn on radiographs, to be looked at."""

import warnings

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from lungestimators import LungFields

_SIDE = 192
_COLUMNS, _ROWS = 10, 5


def draw_overlays(paths, folder):
    """Write sheets of radiographs with the outlines of their lungs, and return their paths.

    Each image has its number and its score; the outline of a refused image is missing.

    Parameters
    ----------
    paths : list of str
    folder : Path
        Not one of the repository: the images are not ours.

    Returns
    -------
    list of Path
    """
    folder.mkdir(parents=True, exist_ok=True)
    lungs = LungFields("masks", on_missing="warn")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        masks = lungs.fit_transform(paths)
    tiles = [
        _overlay(number, path, mask, score)
        for number, (path, mask, score) in enumerate(zip(paths, masks, lungs.scores_, strict=True))
    ]
    sheets = []
    for start in range(0, len(tiles), _COLUMNS * _ROWS):
        sheet = Image.new("RGB", (_COLUMNS * _SIDE, _ROWS * _SIDE))
        for place, tile in enumerate(tiles[start : start + _COLUMNS * _ROWS]):
            sheet.paste(tile, (place % _COLUMNS * _SIDE, place // _COLUMNS * _SIDE))
        sheets.append(folder / f"{len(sheets)}.png")
        sheet.save(sheets[-1])
    return sheets


def _overlay(number, path, mask, score):
    """Return one radiograph with the outline of its lungs in red."""
    with Image.open(path) as image:
        pixels = np.array(image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))
    mask = np.array(Image.fromarray(mask).resize((_SIDE, _SIDE)))
    pixels[mask ^ ndimage.binary_erosion(mask)] = (255, 40, 40)
    tile = Image.fromarray(pixels)
    ImageDraw.Draw(tile).text((2, 2), f"{number}: {score:.2f}", fill=(255, 255, 0))
    return tile
