"""Grey values of an image, changed by those of its lungs."""

import numpy as np

# Percentiles of the pixels of the lungs that become black and white.
_BLACK, _WHITE = 1, 99


def stretch_greys(image, greys_of_lungs):
    """Stretch grey values so that those of the lungs reach from 0 to 1.

    Parameters
    ----------
    image : ndarray of shape (height, width, channels), float32
    greys_of_lungs : ndarray of shape (n,)
        Pixels of the lungs of that image. Their percentiles, the first and the last, become 0
        and 1.

    Returns
    -------
    ndarray of shape (height, width, channels), float32, in 0..1
        The image itself where all pixels of the lungs have one value.
    """
    low, high = np.percentile(greys_of_lungs, (_BLACK, _WHITE))
    if not high > low:
        return image
    return np.clip((image - np.float32(low)) / np.float32(high - low), 0, 1)


def equalise_greys(image, greys_of_lungs):
    """Equalise the histogram of the lungs: a grey becomes the share of the lungs that is darker.

    Parameters
    ----------
    image : ndarray of shape (height, width, channels), float32
    greys_of_lungs : ndarray of shape (n,)
        Pixels of the lungs of that image.

    Returns
    -------
    ndarray of shape (height, width, channels), float32, in 0..1
        The image itself where all pixels of the lungs have one value.
    """
    greys, counts = np.unique(greys_of_lungs, return_counts=True)
    if len(greys) < 2:
        return image
    # Of pixels of one grey, half count as darker.
    shares = (np.cumsum(counts) - counts / 2) / counts.sum()
    return np.interp(image, greys, shares, left=0, right=1).astype(np.float32)


# By the name of the parameter ``contrast``.
CHANGES = {"stretch": stretch_greys, "equalise": equalise_greys}
