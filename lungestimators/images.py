"""What X may be, and how it becomes pixels."""

import os
import warnings

import numpy as np
from PIL import Image
from sklearn.utils import check_array

from . import files
from . import pixels as ranges


def holds_paths(X):
    """Whether X is a list or 1-D array of file paths."""
    if isinstance(X, str | bytes | os.PathLike):
        raise TypeError(
            f"X is the single path {os.fspath(X)!r}: pass a list of image files. A folder of "
            "images is read by lungestimators.datasets.load_image_folder"
        )
    if hasattr(X, "dtype") and getattr(X, "ndim", 1) == 1:
        X = np.asarray(X).tolist()
    return (
        isinstance(X, list | tuple)
        and len(X) > 0
        and all(isinstance(item, str | os.PathLike) for item in X)
    )


def check_paths(X):
    """Return the paths as a list of str, the header of every one that of an image.

    Raises
    ------
    ImageReadError
        Which files cannot be read, and why. Of files that do not exist it is a FileNotFoundError
        as well.
    ImportError
        There are DICOM files, and pydicom is not installed.
    """
    paths = as_paths(X)
    files.check(paths)
    return paths


def as_paths(X):
    """Return the paths as a list of str."""
    return [os.fspath(item) for item in (X.tolist() if hasattr(X, "tolist") else X)]


def read_image(path, channels, size=None):
    """Decode one file at its full depth.

    Parameters
    ----------
    path : str
    channels : {1, 3}
        Grey or RGB, whatever the file holds.
    size : int, optional
        Side of the square to which the image is resized.

    Returns
    -------
    ndarray of shape (height, width, channels), float32, in 0..1

    Raises
    ------
    ImageReadError
    """
    pixels, low, high = decode(path, channels)
    if size is not None:
        pixels = resize(pixels, size)
    pixels = (pixels - np.float32(low)) / np.float32(high - low)
    return np.repeat(pixels, channels // pixels.shape[2], axis=2)


def decode(path, channels):
    """Decode one file as :func:`read_image` does, and leave its pixels as they are.

    Returns
    -------
    pixels : ndarray of shape (height, width, 1 or 3), float32
        A grey file that shall be RGB has one channel: it is repeated when there are fewer pixels.
    low, high : float
        The pixel values that are black and white.
    """
    pixels, limits = files.decode(path, channels)
    # Most radiographs in RGB are grey: one channel of three takes a third of the time.
    if pixels.shape[2] == 3 and (pixels[..., :1] == pixels[..., 1:]).all():
        pixels = pixels[..., :1]
    low, high = limits
    if not high > low:  # a constant image is black
        high = low + 1
    # float32 has fewer digits than these.
    wide = pixels.dtype.name in ("int32", "uint32", "float64")
    if wide or ranges.needs_float64(pixels.dtype, low, high):
        return ranges.to_unit(pixels, low, high), 0.0, 1.0
    return pixels.astype(np.float32), low, high


def resize(image, size):
    """Bring one image to a square, bilinear and antialiased.

    Pillow takes a third of the time of Keras' operation, whose results it has to 1e-5, and lets go
    of Python's lock.

    Parameters
    ----------
    image : ndarray of shape (height, width, channels), float32
    size : int

    Returns
    -------
    ndarray of shape (size, size, channels), float32
    """
    if image.shape[:2] == (size, size):
        return image
    resized = np.empty((size, size, image.shape[2]), np.float32)
    for number in range(image.shape[2]):  # Pillow has one channel of floats only
        channel = Image.fromarray(np.ascontiguousarray(image[..., number]))
        resized[..., number] = channel.resize((size, size), Image.Resampling.BILINEAR)
    return resized


def as_images(X, image_shape):
    """Check an array of pixels and give it four dimensions; values and type stay as they are.

    Parameters
    ----------
    X : array-like of shape (n, height, width), (n, height, width, channels) or (n, n_features)
    image_shape : tuple of int or None
        How a flat row becomes an image; None where X is not flat.

    Returns
    -------
    ndarray of shape (n, height, width, channels)
    """
    if X.ndim == 2:
        if image_shape is None:
            raise ValueError(
                f"X has the shape {X.shape}: these are flat rows. Say how a row becomes an image "
                "by image_shape=(height, width) or (height, width, channels); images themselves "
                "are 3-D (grey) or 4-D"
            )
        try:
            X = X.reshape(len(X), *image_shape)
        except ValueError:
            raise ValueError(
                f"image_shape={image_shape} does not fit: a row of X has {X.shape[1]} values"
            ) from None
        if X.ndim not in (3, 4):
            raise ValueError(
                f"image_shape={image_shape} must be (height, width) or (height, width, channels)"
            )
    elif image_shape is not None:
        raise ValueError(
            f"image_shape={image_shape} is for flat rows, but X has the shape {X.shape}: "
            "leave image_shape=None for images"
        )
    if X.ndim == 3:
        X = X[..., None]
    if X.ndim != 4:
        raise ValueError(
            f"X has {X.ndim} dimensions: images are (n, height, width) or "
            "(n, height, width, channels)"
        )
    if X.shape[3] not in (1, 3):
        raise ValueError(
            f"X has the shape {X.shape}, that is {X.shape[3]} channels: images have 1 (grey) or "
            "3 (RGB), in the last dimension"
        )
    if 0 in X.shape:
        raise ValueError(f"X has the shape {X.shape}: there is no pixel in it")
    return ranges.native(X)


def stack(X):
    """Return a list of images as one array, and anything else as it is."""
    if not (isinstance(X, list | tuple) and len(X) and all(np.ndim(x) >= 2 for x in X)):
        return X
    shapes = sorted({np.shape(x) for x in X})
    if len(shapes) > 1:
        raise ValueError(
            f"The images of X have different shapes, such as {shapes[0]} and {shapes[-1]}: bring "
            "them to one shape, or pass the paths of their files"
        )
    return np.stack(X)


def check_pixels(X):
    """Return X as a numeric array without NaN or infinity, as scikit-learn checks it."""
    if getattr(X, "dtype", None) == np.dtype(bool):
        X = np.asarray(X).astype(np.uint8) * np.uint8(255)
    return ranges.native(check_array(X, dtype="numeric", allow_nd=True))


def pixel_range(pixels):
    """Return the values that mean black and white.

    Whole numbers of 8 or 16 bits and floats in 0..1 or 0..255 say so themselves. For all others a
    warning says what was assumed.

    Returns
    -------
    tuple of (float, float)
    """
    low, high, doubt = ranges.assumed_range(pixels)
    if doubt:
        _warn_of_range(f"{pixels.dtype} pixels {doubt}", low, high)
    return low, high


def range_like_fit(pixels, fitted_range, fitted_dtype):
    """Return the range of pixels to predict, on the scale that ``fit`` saw.

    The same kind of pixels has the fitted range, whichever images happen to come together; another
    kind (8 bit against float, say; or files, whose ``fitted_dtype`` is None) is measured anew.
    """
    if fitted_dtype is None or ranges.kind(pixels.dtype) != ranges.kind(fitted_dtype):
        return pixel_range(pixels)
    low, high = fitted_range
    if ranges.kind(pixels.dtype) == "other":
        smallest, largest = float(pixels.min()), float(pixels.max())
        span = high - low
        too_wide = smallest < low - span or largest > high + span
        too_narrow = fitted_range == (0.0, 255.0) and largest <= 1
        if too_wide or too_narrow:
            _warn_of_range(
                f"fit saw pixels in {low:g}..{high:g}, these lie in {smallest:g}..{largest:g}",
                low,
                high,
            )
    return fitted_range


def _warn_of_range(found, low, high):
    warnings.warn(
        f"{found}: {low:g} is taken as black and {high:g} as white. Pass uint8, uint16 or floats "
        "in 0..1 to leave no doubt.",
        UserWarning,
        stacklevel=5,
    )
