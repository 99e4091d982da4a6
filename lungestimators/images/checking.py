"""What X may be, and how it becomes pixels."""

import warnings

import numpy as np
from PIL import Image
from sklearn.utils import check_array

from . import columns, decoding
from . import pixels as ranges
from .columns import as_paths as as_paths
from .columns import holds_paths as holds_paths

# Modes of Pillow images whose numbers are brightness.
_PLAIN_MODES = {"1", "L", "I", "I;16", "I;16L", "I;16B", "F", "RGB"}


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
    decoding.check(paths)
    return paths


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
    pixels, limits = decoding.decode(path, channels)
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
                "are 3-D (grey) or 4-D, and one image is passed as X[np.newaxis]"
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
    elif X.ndim == 3 and X.shape[2] == 3 < X.shape[1]:
        raise ValueError(
            f"X has the shape {X.shape}, that is one RGB image or {len(X)} grey ones, three pixels "
            "wide: pass X[np.newaxis] for the one, X[..., np.newaxis] for the others"
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
            + ", where np.moveaxis(X, 1, -1) brings them"
            * (X.shape[1] in (1, 3))
        )
    if 0 in X.shape:
        raise ValueError(f"X has the shape {X.shape}: there is no pixel in it")
    return ranges.native(X)


def stack(X):
    """Return a list or column of images as one array, and anything else as it is."""
    items = columns.as_list(X)
    if not items:
        return X
    items = [_whole(item) for item in items]
    for row, item in enumerate(items):
        if isinstance(item, Image.Image) and item.mode not in _PLAIN_MODES:
            raise ValueError(
                f"X[{row}] is a Pillow image of the mode {item.mode!r}, whose numbers are no grey "
                "and no RGB: convert it by convert('L') or convert('RGB')"
            )
    are_images = [np.ndim(item) >= 2 for item in items]
    if not any(are_images):
        return items
    if not all(are_images):
        raise ValueError(
            f"X[{are_images.index(False)}] is no image, and others are: an image has two "
            "dimensions (grey) or three. X and y are two arguments"
        )
    shapes = sorted({np.shape(item) for item in items})
    if len(shapes) > 1:
        raise ValueError(
            f"The images of X have different shapes, such as {shapes[0]} and {shapes[-1]}: bring "
            "them to one shape, or pass the paths of their files"
        )
    return np.stack(items)


def _whole(item):
    """Return an image that is arrays in arrays, as in the lists of polars and pyarrow, as one."""
    if isinstance(item, np.ndarray) and item.dtype == object and len(item):
        parts = [_whole(part) for part in item]
        if all(isinstance(part, np.ndarray) for part in parts):
            return np.stack(parts)
    return item


def check_pixels(X):
    """Return X as a numeric array without NaN or infinity, as scikit-learn checks it."""
    if hasattr(X, "__array__"):
        X = np.asarray(X)  # a tensor's types are not NumPy's
    if getattr(X, "dtype", None) == np.dtype(bool):
        X = X.astype(np.uint8) * np.uint8(255)
    return ranges.native(check_array(X, dtype="numeric", allow_nd=True))


def with_channels(X, channels):
    """Return images as an estimator takes them that was fitted on grey or on RGB.

    RGB whose channels are equal is grey. Grey stays as it is where RGB is wanted: it is repeated
    when there are fewer pixels.

    Parameters
    ----------
    X : ndarray of shape (n, height, width, 1 or 3)
    channels : {1, 3}

    Returns
    -------
    ndarray of shape (n, height, width, 1 or 3)

    Raises
    ------
    ValueError
        Grey is wanted, and the channels of an image differ.
    """
    if X.shape[3] == 1 or channels == 3:
        return X
    for row, image in enumerate(X):
        if (image[..., :1] != image[..., 1:]).any():
            raise ValueError(
                f"X is RGB and the channels of X[{row}] differ, but the fit was on grey images: "
                "bring X to grey in the same way as the images of the fit"
            )
    return X[..., :1]


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
