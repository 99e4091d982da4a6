"""Check X: the paths of images, or the array of pixels, that an estimator is given."""

import numpy as np
from PIL import Image
from sklearn.utils import check_array

from . import columns
from .file_checks import check_files

# Modes of Pillow images whose numbers are brightness.
_PLAIN_MODES = {"1", "L", "I", "I;16", "I;16L", "I;16B", "F", "RGB"}


def check_paths_in_x(X):
    """Return the paths as a list of str, after a check that every file has an image's header.

    Parameters
    ----------
    X : list, tuple, array, Series or one-column table of paths

    Raises
    ------
    ImageReadError
        Which files cannot be read, and why. Of files that do not exist it is a FileNotFoundError
        as well.
    ImportError
        There are DICOM files, and pydicom is not installed.
    """
    paths = columns.paths_in_column(X)
    check_files(paths)
    return paths


def check_image_shape_of_x(X, image_shape):
    """Check the shape of an array of pixels and give it four dimensions; its values stay.

    Parameters
    ----------
    X : array-like of shape (n, height, width), (n, height, width, channels) or (n, n_features)
    image_shape : tuple of int or None
        How a flat row becomes an image; None where X is not flat.

    Returns
    -------
    ndarray of shape (n, height, width, channels)

    Raises
    ------
    ValueError
        X has another shape.
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
    return _native_byte_order_of_x(X)


def check_and_stack_x(X):
    """Return a list or column of images as one array, and anything else as it is.

    Raises
    ------
    ValueError
        The images differ in shape, one is a Pillow image of a mode that is neither grey nor RGB,
        or X mixes images and other items.
    """
    items = columns.column_as_list(X)
    if not items:
        return X
    items = [_one_array_of_item_in_x(item) for item in items]
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


def _one_array_of_item_in_x(item):
    """Return an image that is nested arrays, as in columns of polars and pyarrow, as one array."""
    if isinstance(item, np.ndarray) and item.dtype == object and len(item):
        parts = [_one_array_of_item_in_x(part) for part in item]
        if all(isinstance(part, np.ndarray) for part in parts):
            return np.stack(parts)
    return item


def check_pixels_of_x(X):
    """Return X as a numeric array without NaN or infinity, as scikit-learn checks it."""
    if hasattr(X, "__array__"):
        X = np.asarray(X)  # a tensor's types are not NumPy's
    if getattr(X, "dtype", None) == np.dtype(bool):
        X = X.astype(np.uint8) * np.uint8(255)
    return _native_byte_order_of_x(check_array(X, dtype="numeric", allow_nd=True))


def _native_byte_order_of_x(X):
    """Return X in the processor's order of bytes: X itself where it is in that order already."""
    return X.astype(X.dtype.newbyteorder("="), copy=False)


def check_channels_of_x(X, channels):
    """Return images with the channels that a fitted estimator wants: one (grey) or three (RGB).

    RGB images whose channels are equal become grey where grey is wanted. Grey images stay as they
    are where RGB is wanted: their channel is repeated later, when there are fewer pixels.

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
