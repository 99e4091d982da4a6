"""CLAHE: contrast-limited adaptive histogram equalisation."""

import numpy as np
from numpy.typing import ArrayLike

from ..validation import check_real_number, check_whole_number
from .base import ImageTransformer, check_images_to_preprocess


class CLAHE(ImageTransformer):
    """Contrast-limited adaptive histogram equalisation, by scikit-image.

    CLAHE needs scikit-image: ``pip install 'lungestimators[preprocessing]'``. Every image is
    equalised by itself, and its darkest and brightest grey become 0 and 1: the result does not
    depend on which values mean black and white. Of RGB images the brightness is equalised (the
    largest of the three channels: the V of HSV); hue and saturation stay.

    Parameters
    ----------
    kernel_size : int or tuple of (int, int), default=None
        Side, or height and width, in pixels of the regions whose histograms are equalised.
        ``None``: an eighth of the image's height and of its width.
    clip_limit : float, default=0.01
        Where histograms are clipped, in 0..1: a larger value gives more contrast. 0 does not clip.

    See Also
    --------
    skimage.exposure.equalize_adapthist : The function that is called for each image.

    References
    ----------
    Zuiderveld, Contrast Limited Adaptive Histogram Equalization, Graphics Gems IV, 1994.

    Examples
    --------
    >>> import numpy as np
    >>> from lungestimators import CLAHE
    >>> X = np.random.default_rng(0).integers(100, 120, size=(2, 32, 32), dtype=np.uint8)
    >>> equalised = CLAHE().fit_transform(X)
    >>> equalised.shape, equalised.dtype, float(equalised.min()), float(equalised.max())
    ((2, 32, 32), dtype('float32'), 0.0, 1.0)
    """

    def __init__(
        self, *, kernel_size: int | tuple[int, int] | None = None, clip_limit: float = 0.01
    ) -> None:
        self.kernel_size = kernel_size
        self.clip_limit = clip_limit

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Equalise images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width) or (n_samples, height, width, channels)
            Grey or RGB, uint8, uint16 or float.

        Returns
        -------
        ndarray of the shape of X, float32, in 0..1
        """
        self._check_parameters()
        X = self._check_X(X)
        equalize_adapthist = _import_equalize_adapthist()
        equalised = np.empty(X.shape, np.float32)
        for image, result in zip(X, equalised, strict=True):
            grey = image.ndim == 3 and image.shape[2] == 1
            found = equalize_adapthist(
                _as_skimage_image(image[..., 0] if grey else image),
                kernel_size=self.kernel_size,
                clip_limit=self.clip_limit,
            )
            result[...] = found[..., None] if grey else found
        return equalised

    def _check_parameters(self):
        _import_equalize_adapthist()
        size = self.kernel_size
        if isinstance(size, tuple | list):
            if len(size) != 2:
                raise ValueError(f"kernel_size={size!r} must be one number, or height and width")
            for side in size:
                check_whole_number("kernel_size", side, 1)
        elif size is not None:
            check_whole_number("kernel_size", size, 1)
        check_real_number("clip_limit", self.clip_limit, lambda x: 0 <= x <= 1, "be in 0..1")

    def _check_X(self, X):
        return check_images_to_preprocess(X)


def _import_equalize_adapthist():
    """Import the function of scikit-image, or raise an ImportError that says how to install it."""
    try:
        from skimage.exposure import equalize_adapthist
    except ImportError as error:
        raise ImportError(
            "CLAHE needs scikit-image: pip install 'lungestimators[preprocessing]'"
        ) from error
    return equalize_adapthist


def _as_skimage_image(image):
    """Convert an image to a type of scikit-image: 8 or 16 bits, or floats in 0..1.

    scikit-image stretches the image's own range, so which values are black and white changes
    nothing.
    """
    if image.dtype.name in ("uint8", "uint16"):
        return image
    low, high = float(image.min()), float(image.max())
    if image.dtype.kind == "f" and low >= 0 and high <= 1:
        return image
    return (image.astype(np.float64) - low) / ((high - low) or 1)
