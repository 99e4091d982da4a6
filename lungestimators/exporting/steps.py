"""What an estimator consists of, where it can be exported: a network, and a border cut off."""

from typing import Any, NamedTuple

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ..images.pixel_ranges import range_needs_float64
from ..preprocessing import BorderCrop, ImageReader


class Parts(NamedTuple):
    """The parts of an estimator that can be exported.

    Attributes
    ----------
    classifier : LungClassifier
    border : tuple of int
        Rows to cut off at the top and at the bottom, columns at the left and at the right.
    image_shape : tuple of int
        (height, width, channels) of the images that the exported network takes.
    reader : str or None
        The ImageReader that reads such images from files; None where arrays were passed.
    """

    classifier: Any
    border: tuple
    image_shape: tuple
    reader: str | None


def parts_to_export(estimator):
    """Return the Parts of an estimator.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier of this package, or a Pipeline of it behind ImageReader and BorderCrop.

    Raises
    ------
    NotFittedError
        The classifier is not fitted.
    ValueError
        A step cannot be exported; the error names it.
    """
    *before, (name, classifier) = _steps_in(estimator, "")
    if not hasattr(type(classifier), "model_"):
        raise ValueError(_message_no_network(name, classifier))
    check_is_fitted(classifier)
    _check_what_network_sees(classifier)
    shape = classifier.image_shape_
    if shape[0] is None:  # a fit on files
        size = int(classifier._as_fitted().image_size)
        shape = (size, size, shape[2])
        reader = _reader_of_files(size, shape[2])
    else:
        reader = None
    border = 0, 0
    for name, step in reversed(before):
        # Not of a class that inherits from these: it may transform in another way.
        if type(step) is BorderCrop:
            shape, cut = _shape_before_crop(name, step, shape)
            border = border[0] + cut[0], border[1] + cut[1]
        elif type(step) is ImageReader:
            reader = _reader_of_files(step.image_size, step.channels)
        else:
            raise ValueError(
                f"{_step_in_words(name, step)} computes what no layer of a network does. Export "
                "the classifier alone, pipeline[-1], and give the network the images that the "
                "steps before it return"
            )
    return Parts(classifier, border, shape, reader)


def _steps_in(estimator, prefix):
    """Return (name, estimator) of all steps of a Pipeline at any depth; of others, themselves."""
    if not isinstance(estimator, Pipeline):
        return [(prefix, estimator)]
    steps = []
    for name, step in estimator.steps:
        if step is not None and not (isinstance(step, str) and step == "passthrough"):
            steps += _steps_in(step, f"{prefix}__{name}" if prefix else name)
    return steps or [(prefix, estimator)]


def _step_in_words(name, step):
    """Return how an error calls a step."""
    kind = type(step).__name__
    return f"The step {name!r} ({kind})" if name else f"A {kind}"


def _message_no_network(name, estimator):
    """Return the message of the error for an estimator that is no classifier of this package."""
    if hasattr(estimator, "best_estimator_"):
        way_out = "Export its best_estimator_"
    elif hasattr(estimator, "estimator") or hasattr(estimator, "estimators"):
        way_out = (
            "Export the fitted classifier inside it: the network then gives probabilities before "
            "any calibration, threshold or vote"
        )
    else:
        way_out = "BackboneClassifier makes one network of any backbone and the layers behind it"
    return (
        f"{_step_in_words(name, estimator)} cannot be exported. A classifier of this package can, "
        f"alone or in a Pipeline behind ImageReader and BorderCrop. {way_out}"
    )


def _check_what_network_sees(classifier):
    """Raise unless the network alone, in float32, gives what ``predict_proba`` gives."""
    if classifier.n_views != 1:
        raise ValueError(
            f"n_views={classifier.n_views!r}: an exported network sees the image itself alone. "
            "Call set_params(n_views=1) first: predict_proba then gives what the network will give"
        )
    dtype, (low, high) = classifier._pixel_dtype, classifier._pixel_range
    if dtype is not None and range_needs_float64(dtype, low, high):
        raise ValueError(
            f"fit saw {dtype} pixels in {low:g}..{high:g}, and an exported network takes float32, "
            "which is too coarse for them: scale the pixels to 0..1 and fit again"
        )


def _reader_of_files(image_size, channels):
    """Return the ImageReader that reads the images of a network, as a text."""
    return f"ImageReader(image_size={image_size}, channels={channels})"


def _shape_before_crop(name, crop, shape):
    """Return the shape that images have before a BorderCrop, and the border that it cuts off."""
    crop._check_parameters()
    step = _step_in_words(name, crop)
    if not hasattr(crop, "image_shape_"):
        raise ValueError(
            f"{step} does not know of what size the images of its fit were: it is not fitted, or "
            "an early version of the package fitted it. Fit again"
        )
    height, width, channels = crop.image_shape_
    top, left = crop._border_of((height, width))
    cropped = height - 2 * top, width - 2 * left, channels
    if cropped != shape:
        raise ValueError(
            f"{step} makes images of shape {cropped} (height, width, channels), and the classifier "
            f"behind it was fitted to {shape}. Was fraction changed after the fit? Fit again"
        )
    return crop.image_shape_, (top, left)
