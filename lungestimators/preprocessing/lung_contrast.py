"""Grey values of an image, changed by those of its lungs."""

import numpy as np
from scipy import ndimage

# Percentiles of the pixels of the lungs that become black and white.
_BLACK, _WHITE = 1, 99

# CLAHE: regions along each side of the image, bins of a histogram, and how many times its even
# share a bin may have.
_REGIONS, _BINS, _CLIP_LIMIT = 8, 64, 2.0

# Pixels that CLAHE changes at once; it holds three more float32 for each of them.
_PIXELS_AT_ONCE = 2**20


def stretch_greys(image, shrunk, lungs):
    """Stretch grey values so that those of the lungs reach from 0 to 1.

    Parameters
    ----------
    image : ndarray of shape (height, width, channels), float32
    shrunk : ndarray of shape (side, side, channels), float32
        The same image, smaller, and squeezed to a square.
    lungs : ndarray of shape (side, side), bool
        The lungs in it. The percentiles of their pixels, the first and the last, become 0 and 1.

    Returns
    -------
    ndarray of shape (height, width, channels), float32, in 0..1
        The image itself where all pixels of the lungs have one value.
    """
    low, high = np.percentile(shrunk[lungs], (_BLACK, _WHITE))
    if not high > low:
        return image
    return np.clip((image - np.float32(low)) / np.float32(high - low), 0, 1)


def equalise_greys(image, shrunk, lungs):
    """Equalise the histogram of the lungs: a grey becomes the share of the lungs that is darker.

    Parameters
    ----------
    image, shrunk, lungs
        As for ``stretch_greys``.

    Returns
    -------
    ndarray of shape (height, width, channels), float32, in 0..1
        The image itself where all pixels of the lungs have one value.
    """
    greys, counts = np.unique(shrunk[lungs], return_counts=True)
    if len(greys) < 2:
        return image
    # Of pixels of one grey, half count as darker.
    shares = (np.cumsum(counts) - counts / 2) / counts.sum()
    return np.interp(image, greys, shares, left=0, right=1).astype(np.float32)


def equalise_greys_by_region(image, shrunk, lungs):
    """Equalise the histogram of the lungs, and then, up to a limit, that of each region of them.

    This is contrast-limited adaptive histogram equalisation (Zuiderveld, Graphics Gems IV, 1994),
    in which pixels beside the lungs do not count. A region is filled up to its full number of
    pixels with those of all lungs, so that few pixels change little.

    Parameters
    ----------
    image, shrunk, lungs
        As for ``stretch_greys``; ``side`` is a multiple of 8.

    Returns
    -------
    ndarray of shape (height, width, channels), float32, in 0..1
        The image itself where all pixels of the lungs have one value.
    """
    equalised = equalise_greys(image, shrunk, lungs)
    if equalised is image:
        return image
    maps = _maps_of_regions(equalise_greys(shrunk, shrunk, lungs), lungs)
    height, width, channels = image.shape
    # Where the middles of the regions are the whole numbers from 0 on.
    down, across = (_REGIONS * (np.arange(n) + 0.5) / n - 0.5 for n in (height, width))
    n_rows = max(1, _PIXELS_AT_ONCE // (width * channels))
    for start in range(0, height, n_rows):
        rows = slice(start, start + n_rows)
        part = equalised[rows]
        places = np.empty((3, *part.shape), np.float32)
        places[0] = down[rows, None, None]
        places[1] = across[:, None]
        places[2] = part * _BINS
        # Between the middles of four regions, and between two grey values, linear.
        ndimage.map_coordinates(maps, places, output=part, order=1, mode="nearest")
    return equalised


def _maps_of_regions(equalised, lungs):
    """Return what each region makes of grey values in 0..1.

    Returns
    -------
    ndarray of shape (_REGIONS, _REGIONS, _BINS + 1), float32
        The grey value that the lower edge of each bin becomes, and at last the upper edge.
    """
    side, _, channels = equalised.shape
    rows, columns = np.nonzero(lungs)
    bins = np.minimum(_BINS * equalised[lungs], _BINS - 1).astype(int)
    counts = np.zeros((_REGIONS, _REGIONS, _BINS))
    region = side // _REGIONS
    np.add.at(counts, ((rows // region)[:, None], (columns // region)[:, None], bins), 1)
    of_lungs = counts.sum(axis=(0, 1)) / counts.sum()
    full = region**2 * channels
    counts += (full - counts.sum(axis=2, keepdims=True)) * of_lungs
    shares = counts / full
    excess = np.maximum(shares - _CLIP_LIMIT / _BINS, 0)
    shares += excess.sum(axis=2, keepdims=True) / _BINS - excess
    maps = np.zeros((_REGIONS, _REGIONS, _BINS + 1), np.float32)
    np.cumsum(shares, axis=2, out=maps[..., 1:])
    return np.clip(maps, 0, 1)


# By the name of the parameter ``contrast``.
CHANGES = {
    "stretch": stretch_greys,
    "equalise": equalise_greys,
    "clahe": equalise_greys_by_region,
}
