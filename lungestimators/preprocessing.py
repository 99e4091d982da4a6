"""Transformers for a Pipeline in front of a classifier: ImageReader, CLAHE, BorderCrop."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin

from .images import checking, columns, reading
from .validation import ImagesLike, PathLike, check_real_number, check_whole_number


class _ImageTransformer(TransformerMixin, BaseEstimator):
    """Base class of transformers from images to images that learn nothing."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False  # flat rows are no images
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: ImagesLike, y=None):
        """Check the parameters and X. Nothing is learnt.

        Parameters
        ----------
        X : array-like or list of paths
            The same images or files as for ``transform``.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The transformer itself.

        Raises
        ------
        ValueError, TypeError
            A parameter has an invalid value, or X is of the wrong kind.
        """
        self._check_parameters()
        self._check_X(X)
        return self


class ImageReader(_ImageTransformer):
    """Read image files into one array, for transformers that compute with pixels.

    The classifiers read files by themselves, batch by batch; an ImageReader holds all images of X
    in memory.

    Parameters
    ----------
    image_size : int, default=None
        Side in pixels of the square that every image is resized to, bilinear and antialiased, as
        the classifiers do. ``None`` keeps the size, which must be the same for all files.
    channels : {1, 3}, default=1
        Grey or RGB; files of the other kind are converted.

    See Also
    --------
    load_image_folder : The paths and labels of a folder of images.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from PIL import Image
    >>> from lungestimators import ImageReader
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "1.png")
    ...     Image.fromarray(np.full((48, 40), 65535, np.uint16)).save(path)
    ...     pixels = ImageReader(image_size=32).transform([path])
    >>> pixels.shape, pixels.dtype, float(pixels.max())
    ((1, 32, 32, 1), dtype('float32'), 1.0)
    """

    def __init__(self, *, image_size: int | None = None, channels: int = 1) -> None:
        self.image_size = image_size
        self.channels = channels

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = False
        tags.input_tags.string = True
        return tags

    def transform(self, X: Sequence[PathLike] | ArrayLike) -> np.ndarray:
        """Read image files.

        Parameters
        ----------
        X : list of paths, or array-like of shape (n_samples,) or (n_samples, 1)
            Paths of image files.

        Returns
        -------
        ndarray of shape (n_samples, height, width, channels), float32
            Pixels at the full depth of the files, in 0..1.

        Raises
        ------
        ImageReadError
            Files are no images, or do not exist; the error names all of them. The headers of all
            files are checked before pixels are read.
        ValueError
            ``image_size`` is None, and two files differ in size.
        TypeError
            X does not hold paths.
        """
        self._check_parameters()
        self._check_X(X)
        paths = checking.check_paths_in_x(X)
        pixels = None
        for row, image in enumerate(reading.read_images(paths, self.channels, self.image_size)):
            if pixels is None:
                pixels = np.empty((len(paths), *image.shape), np.float32)
            elif image.shape != pixels.shape[1:]:
                first, other = ("{}x{}".format(*each.shape) for each in (pixels[0], image))
                raise ValueError(
                    f"{paths[0]!r} has {first} and {paths[row]!r} has {other} "
                    "pixels (height x width): say by image_size to what they shall be resized"
                )
            pixels[row] = image
        return pixels

    def _check_parameters(self):
        if self.image_size is not None:
            check_whole_number("image_size", self.image_size, 1)
        if isinstance(self.channels, bool) or self.channels not in (1, 3):
            raise ValueError(f"channels={self.channels!r} must be 1 (grey) or 3 (RGB)")

    def _check_X(self, X):
        if not columns.is_column_of_paths(X):
            found = f"an array of shape {X.shape}" if hasattr(X, "shape") else repr(X)[:100]
            raise TypeError(f"ImageReader takes a list or column of paths, not {found}")


class CLAHE(_ImageTransformer):
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
        return _check_images_to_preprocess(X)


class BorderCrop(_ImageTransformer):
    """Cut off the border of images, where labels, arms and collimators are.

    Markers that differ between hospitals let a network read the source instead of the lung.

    Parameters
    ----------
    fraction : float, default=0.1
        Part of the height that is cut off at the top and at the bottom, and of the width at the
        left and at the right, rounded down to pixels; at least 0 and below 0.5.

    Examples
    --------
    >>> import numpy as np
    >>> from lungestimators import BorderCrop
    >>> BorderCrop(0.25).fit_transform(np.arange(32).reshape(2, 4, 4))
    array([[[ 5,  6],
            [ 9, 10]],
    <BLANKLINE>
           [[21, 22],
            [25, 26]]])
    """

    def __init__(self, fraction: float = 0.1) -> None:
        self.fraction = fraction

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Crop images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width) or (n_samples, height, width, channels)
            Grey or RGB, uint8, uint16 or float.

        Returns
        -------
        ndarray of the dtype of X, and its shape but for height and width
            A view of X where X is an array.

        Raises
        ------
        ValueError, TypeError
            ``fraction`` is invalid, or X is not an array of images.
        """
        self._check_parameters()
        X = self._check_X(X)
        top, left = (int(self.fraction * side) for side in X.shape[1:3])
        return X[:, top : X.shape[1] - top, left : X.shape[2] - left]

    def _check_parameters(self):
        check_real_number(
            "fraction", self.fraction, lambda x: 0 <= x < 0.5, "be at least 0 and below 0.5"
        )

    def _check_X(self, X):
        return _check_images_to_preprocess(X)


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


def _check_images_to_preprocess(X):
    """Return X as an array of three or four dimensions; raise where it is not pixels."""
    if columns.is_column_of_paths(X):
        raise TypeError(
            "X holds paths, and pixels are needed: put ImageReader() in front, as in "
            "make_pipeline(ImageReader(), ...)"
        )
    X = checking.check_pixels_of_x(checking.check_and_stack_x(X))
    if X.ndim == 2:
        raise ValueError(
            f"X has the shape {X.shape}: these are flat rows. Images are (n, height, width) or "
            "(n, height, width, channels): reshape X"
        )
    checking.check_image_shape_of_x(X, None)
    return X
