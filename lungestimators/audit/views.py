"""Views of images that are tried as shortcuts: border, properties of files, source, thumbnail."""

from typing import NamedTuple

import numpy as np
from sklearn.preprocessing import OneHotEncoder

BORDER = "border alone"  # the name of this view
_BORDER_WIDTH = 1 / 8  # of the side, on each of the four sides
_BLOCK = 4  # pixels of a thumbnail: as large as a small mark on it


class View(NamedTuple):
    """Features of each image, taken from a part of the image or of its file."""

    name: str
    shows_lung: bool
    features: np.ndarray | None  # (n, n_features); None where there are none
    why_none: str = ""


def views_of_images(summaries, source):
    """Return the views of images that are tried as shortcuts.

    Parameters
    ----------
    summaries : list of ImageSummary
    source : ndarray of str, or None
        Where each image comes from.

    Returns
    -------
    list of View
    """
    thumbnails = np.stack([summary.thumbnail for summary in summaries])
    properties = [summary.properties for summary in summaries]
    of_files, why_none = None, "an array has no files"
    if properties[0]:
        of_files, why_none = _view_of_file_properties(properties), "they are the same in all files"
    brightness = np.array([summary.brightness for summary in summaries])
    found = [
        View(BORDER, False, _view_of_border(thumbnails)),
        View("file properties", False, of_files, why_none),
        View("brightness and contrast", True, brightness),
        View("thumbnail of 16x16", True, _view_of_16x16_thumbnails(thumbnails)),
    ]
    if source is not None:
        found.insert(2, View("source", False, _one_hot_view_of_values(source)))
    return found


def _view_of_border(thumbnails):
    """Return mean, brightest pixel and spread of each small block of the border."""
    side = thumbnails.shape[1]
    blocks = _cut_into_blocks_for_views(thumbnails, _BLOCK)
    n_blocks, width = side // _BLOCK, round(_BORDER_WIDTH * side / _BLOCK)
    outside = np.ones((n_blocks, n_blocks), bool)
    outside[width:-width, width:-width] = False
    blocks = blocks[:, outside]
    return np.hstack([blocks.mean(axis=2), blocks.max(axis=2), blocks.std(axis=2)])


def _view_of_16x16_thumbnails(thumbnails):
    """Return the pixels of thumbnails of 16x16, one row an image."""
    blocks = _cut_into_blocks_for_views(thumbnails, thumbnails.shape[1] // 16)
    return blocks.mean(axis=3).reshape(len(thumbnails), -1)


def _cut_into_blocks_for_views(thumbnails, size):
    """Cut thumbnails into square blocks: (n, side / size, side / size, size**2), float32."""
    n, side, _ = thumbnails.shape
    blocks = thumbnails.astype(np.float32).reshape(n, side // size, size, side // size, size)
    return blocks.transpose(0, 1, 3, 2, 4).reshape(n, side // size, side // size, -1)


def _view_of_file_properties(properties):
    """Return the properties of files as columns of numbers; None where all files have the same.

    Parameters
    ----------
    properties : list of dict
        The same keys in each.
    """
    columns = []
    for name in properties[0]:
        values = [row[name] for row in properties]
        if len(set(values)) == 1:
            continue
        numbers = all(not isinstance(value, str) for value in values)
        columns.append(
            np.array(values, float)[:, None] if numbers else _one_hot_view_of_values(values)
        )
    return np.hstack(columns) if columns else None


def _one_hot_view_of_values(values):
    """Return one column of 0 and 1 for each value that there is."""
    values = np.array(values, dtype=str)[:, None]
    return OneHotEncoder(sparse_output=False).fit_transform(values)
