"""LungFields: only the lungs of radiographs."""

import warnings
from typing import Self

import numpy as np
from scipy.special import expit

from ..features import extraction
from ..features.parameters import check_feature_cache_parameter
from ..images import checking, columns, pixel_ranges, reading
from ..images.base import check_described_pixels
from ..images.prepared import PreparedImages
from ..networks import lung_network
from ..validation import ImagesLike, PathLike, check_real_number, check_whole_number
from . import lung_contrast, lung_geometry
from .base import ImageTransformer, check_images_to_preprocess, stack_images

# What each mode returns of an image in which the lungs are not found.
_WITHOUT_LUNGS = {
    "crop": "These images stay as they are",
    "mask": "These images stay as they are",
    "boxes": "The boxes of these images are the whole images",
    "masks": "The masks of these images are empty",
}

# Lungs are found in an image from this score on.
_FOUND = 0.5

# The largest image_size that a saved LungFields may state.
_LARGEST_SIZE_OF_FILE = 2**13

# Images that are named in one message; the others are counted.
_NAMED = 5


class LungFields(ImageTransformer):
    """Keep the lungs of radiographs, and take away what a network could read instead of them.

    Letters, arms, collimators and the background differ between hospitals. A small network that
    comes with the package finds the lungs; it was learnt from synthetic radiographs like those of
    :func:`make_chest_xrays` and adapted to real ones. It expects upright frontal radiographs that
    show both lungs. An image in which both are not found is refused, not guessed.

    Parameters
    ----------
    mode : {"crop", "mask", "boxes", "masks"}, default="crop"
        What ``transform`` returns:

        - ``"crop"``: the part of each image in a square box around both lungs.
        - ``"mask"``: the whole image, with 0 (black) in place of what is not lung; the lung fades
          to black at its outline, over about 2 % of the image's longer side.
        - ``"boxes"``: the boxes of ``"crop"`` in pixels of each image.
        - ``"masks"``: which pixels of each image are lung.
    image_size : int, default=224
        Side in pixels of the square images of ``"crop"`` and ``"mask"``, which are resized
        bilinear and antialiased, as the classifiers do. ``None`` does not resize: all results must
        have one size then. Boxes and masks are always those of the images as they are.
    margin : float, default=0.05
        What the box of ``"crop"`` and ``"boxes"`` has more on each side, as a share of the longer
        side of the smallest box around the lungs, in 0..1. The square is moved into the image where
        it sticks out; where an image is too narrow for it, black is added.
    contrast : {None, "stretch", "equalise", "clahe"}, default=None
        What happens to the grey values of ``"crop"`` and ``"mask"``, so that images of several
        hospitals differ less in exposure:

        - ``None``: nothing.
        - ``"stretch"``: a linear map. The 1st and the 99th percentile of the pixels of the lungs
          become 0 and 1.
        - ``"equalise"``: the histogram of the lungs is equalised. A grey value becomes the share of
          the pixels of the lungs that are darker, so that it does not matter which of two greys is
          how much brighter.
        - ``"clahe"``: as ``"equalise"``, and then the same in each region of an eighth of the
          image's height and width, with at most two to three times the contrast (Zuiderveld,
          Contrast Limited Adaptive Histogram Equalization, Graphics Gems IV, 1994). Fine structure
          shows more, and large bright parts less: a lung that is opaque as a whole is only a little
          brighter than a clear one.

        The pixels of the lungs are those at 160 pixels a side. What is darker or brighter than they
        becomes 0 or 1: in a crop, heart and bones become white.
    on_missing : {"raise", "warn"}, default="raise"
        What to do about images in which two lungs are not found: an error that names them, or a
        warning. After the warning, crop and mask leave such an image as it is, its box is the whole
        image, and its mask is empty.
    feature_cache : {"memory", None} or path, default="memory"
        Where the outputs of the network are kept, 26 KB an image: in this process (of 20,000
        images at most, unless :func:`limit_feature_cache` says otherwise), nowhere, or in a
        directory that processes may share. It changes no result.
    verbose : int, default=0
        0 is silent, 1 shows a progress bar while the network runs.

    Attributes
    ----------
    scores_ : ndarray of shape (n_samples,), float32
        How sure it is, in 0..1, that each image of the last ``fit`` or ``transform`` is an upright
        frontal radiograph with both lungs. An image with a score below 0.5 counts as one without
        lungs. The score is 0 where the mask cannot be that of two lungs. ``transform`` sets it
        too, also before an error about missing lungs.

    See Also
    --------
    BorderCrop : Cut off a border of one width, without looking at the image.
    audit_images : Find out whether something else than the lung tells the classes apart.

    Notes
    -----
    Nothing is learnt: ``transform`` needs no ``fit``. ``fit`` only remembers which pixel values of
    an array are black and white, as the classifiers do.

    Examples
    --------
    >>> from lungestimators import LungFields, make_chest_xrays
    >>> X, y = make_chest_xrays(4, difficulty=0, random_state=0)
    >>> lungs = LungFields("mask", image_size=96)
    >>> masked = lungs.fit_transform(X)
    >>> masked.shape, masked.dtype, lungs.scores_.shape
    ((4, 96, 96), dtype('float32'), (4,))
    >>> boxes = LungFields("boxes").transform(X)
    >>> boxes.shape
    (4, 4)
    """

    # What runs the network; ``load`` sets it.
    _runtime = "keras"

    def __init__(
        self,
        mode: str = "crop",
        *,
        image_size: int | None = 224,
        margin: float = 0.05,
        contrast: str | None = None,
        on_missing: str = "raise",
        feature_cache: PathLike | None = "memory",
        verbose: int = 0,
    ) -> None:
        self.mode = mode
        self.image_size = image_size
        self.margin = margin
        self.contrast = contrast
        self.on_missing = on_missing
        self.feature_cache = feature_cache
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        return tags

    def fit(self, X: ImagesLike, y=None) -> Self:
        """Look for the lungs. Nothing is learnt.

        Parameters
        ----------
        X : array-like or list of paths
            The same images or files as for ``transform``.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The transformer itself, with ``scores_``.

        Raises
        ------
        ValueError, TypeError, ImageReadError
            As ``transform``.
        """
        self._find_lungs(self._check_and_remember(X, reset=True), stacklevel=3)
        return self

    def fit_transform(self, X: ImagesLike, y=None) -> np.ndarray | list[np.ndarray]:
        """Return what ``fit(X).transform(X)`` returns; the network runs once at most.

        Parameters
        ----------
        X : array-like or list of paths
            The same images or files as for ``transform``.
        y : None
            Ignored.

        Returns
        -------
        ndarray or list of ndarray
            As ``transform``.
        """
        return self._transform_checked(self._check_and_remember(X, reset=True))

    def transform(self, X: ImagesLike) -> np.ndarray | list[np.ndarray]:
        """Return the lungs of images.

        Parameters
        ----------
        X : array-like or list of paths
            Images as an array of shape (n_samples, height, width) or (n_samples, height, width,
            channels), grey or RGB, uint8, uint16 or float; or the paths of image files, as a list,
            a Series or the one column of an array or DataFrame. Files are read one by one; those in
            colour become grey.

        Returns
        -------
        ndarray or list of ndarray
            - crop and mask: float32 in 0..1, where 0 is black and 1 is white, of shape (n_samples,
              image_size, image_size), with a last axis of channels where X has one, and with one
              channel where X are files.
            - boxes: int, of shape (n_samples, 4): top, left, bottom, right. Where top and left are
              not negative, ``image[top:bottom, left:right]`` is the crop; otherwise the box sticks
              out of an image that is too narrow for it.
            - masks: bool, of shape (n_samples, height, width); for files a list of arrays of shape
              (height, width), each of the size of its image.

        Raises
        ------
        ValueError
            Two lungs are not found in an image and ``on_missing`` is ``"raise"``; a parameter is
            invalid; X is not images; or ``image_size`` is None and two results differ in size.
        TypeError
            A parameter or X is of the wrong type.
        ImageReadError
            Files are no images, or do not exist; the error names all of them.
        """
        return self._transform_checked(self._check_and_remember(X, reset=False))

    def _check_parameters(self):
        if self.mode not in _WITHOUT_LUNGS:
            raise ValueError(f"mode={self.mode!r} must be 'crop', 'mask', 'boxes' or 'masks'")
        if self.image_size is not None:
            check_whole_number("image_size", self.image_size, 1)
        check_real_number("margin", self.margin, lambda x: 0 <= x <= 1, "be in 0..1")
        if self.contrast not in (None, *lung_contrast.CHANGES):
            raise ValueError(
                f"contrast={self.contrast!r} must be None, 'stretch', 'equalise' or 'clahe'"
            )
        if self.on_missing not in ("raise", "warn"):
            raise ValueError(f"on_missing={self.on_missing!r} must be 'raise' or 'warn'")
        if not isinstance(self.verbose, bool | np.bool_):
            check_whole_number("verbose", self.verbose, 0)
        check_feature_cache_parameter(self.feature_cache)

    def _parameters_for_file(self):
        """Return the parameters that a file keeps; no file names a directory of this computer."""
        parameters = self.get_params(deep=False)
        if parameters["feature_cache"] is not None:
            parameters["feature_cache"] = "memory"
        return parameters

    def _check_parameters_from_file(self):
        try:
            self._check_parameters()
        except TypeError as error:
            raise ValueError(f"its {error}") from None
        if self.feature_cache not in (None, "memory"):
            raise ValueError(f"its feature_cache={self.feature_cache!r} is not one of a file")
        if self.image_size is not None and self.image_size > _LARGEST_SIZE_OF_FILE:
            raise ValueError(f"its image_size={self.image_size!r} is too large")

    def _state_for_file(self):
        """Return what ``fit`` remembers, None before a fit."""
        if not hasattr(self, "_pixel_range"):
            return None
        return {
            "pixel_range": self._pixel_range,
            "pixel_dtype": self._pixel_dtype,
            "weights": lung_network.digest_of_lung_weights(),
        }

    def _restore_state_from_file(self, state):
        if set(state) != {"pixel_range", "pixel_dtype", "weights"}:
            raise ValueError("its images are not described")
        if state["weights"] != lung_network.digest_of_lung_weights():
            warnings.warn(
                "It was saved when LungFields had other weights: it may find other outlines now, "
                "and a classifier behind it may give other answers",
                stacklevel=2,
            )
        limits, dtype = state["pixel_range"], state["pixel_dtype"]
        if (limits, dtype) != (None, None):  # a fit on files
            check_described_pixels(limits, dtype, are_files=False)
        self._pixel_range, self._pixel_dtype = limits, dtype

    def _check_and_remember(self, X, reset):
        """Return X as paths, or as an array of pixels of three or four dimensions.

        With ``reset`` its black and white are remembered for the arrays that follow.
        """
        self._check_parameters()
        if columns.is_column_of_paths(X):
            X = checking.check_paths_in_x(X)
        else:
            X = check_images_to_preprocess(X)
        if reset:
            self._pixel_range, self._pixel_dtype = None, None
            if not isinstance(X, list):
                self._pixel_range, self._pixel_dtype = pixel_ranges.pixel_range(X), X.dtype
        return X

    def _prepare_images(self, X):
        """Return checked X twice: as the network sees it, and with the channels that it has."""
        if isinstance(X, list):
            images = PreparedImages(X, lung_network.IMAGE_SIZE, 1, None)
            return images, images
        pixel_range = pixel_ranges.range_like_fit(
            X, getattr(self, "_pixel_range", None), getattr(self, "_pixel_dtype", None)
        )
        X = X if X.ndim == 4 else X[..., None]
        return [
            PreparedImages(X, lung_network.IMAGE_SIZE, channels, pixel_range)
            for channels in (1, X.shape[3])
        ]

    def _find_lungs(self, X, stacklevel):
        """Run the network, set ``scores_``, and raise or warn where lungs are missing.

        Returns
        -------
        images : PreparedImages
        logits : list of ndarray of shape (side, side), float16, or None
            Cleaned; None where lungs are missing.
        """
        seen, images = self._prepare_images(X)
        side = lung_network.MASK_SIZE
        logits = np.empty((len(X), side, side), np.float16)
        scores = np.empty(len(X), np.float32)
        cache = check_feature_cache_parameter(self.feature_cache)
        network = lung_network.lung_network_blueprint(self._runtime)
        for rows, vectors in extraction.stream_features(network, seen, cache, verbose=self.verbose):
            for row, vector in zip(rows, vectors, strict=True):
                logits[row] = lung_geometry.clean_up_lung_logits(vector[:-1].reshape(side, side))
                plausible = lung_geometry.can_be_both_lungs(logits[row])
                scores[row] = expit(vector[-1]) if plausible else 0
        self.scores_ = scores
        missing = scores < _FOUND
        if missing.any():
            self._report_missing_lungs(X, np.flatnonzero(missing), stacklevel + 1)
        # Not read from scores_ later: another thread may have called meanwhile.
        return images, [None if m else found for m, found in zip(missing, logits, strict=True)]

    def _report_missing_lungs(self, X, rows, stacklevel):
        """Raise or warn, since the lungs of some rows were not found."""
        names = [_name_of_image(X, row) for row in rows[:_NAMED]]
        others = f" and {len(rows) - _NAMED} others" if len(rows) > _NAMED else ""
        found = (
            f"Two lungs were not found in {len(rows)} of {len(X)} images: {', '.join(names)}"
            f"{others} (their scores_ are below {_FOUND}). LungFields expects upright frontal "
            "chest radiographs that show both lungs"
        )
        if self.on_missing == "raise":
            raise ValueError(
                f"{found}. Leave these images out, or pass on_missing='warn' to let them through"
            )
        warnings.warn(f"{found}. {_WITHOUT_LUNGS[self.mode]}.", stacklevel=stacklevel)

    def _transform_checked(self, X):
        """Return what ``transform`` returns for checked X."""
        # The user's line is behind transform, and scikit-learn's set_output around it.
        images, logits = self._find_lungs(X, stacklevel=5)
        get_one = {"boxes": self._box_in_image, "masks": self._mask_in_image}.get(
            self.mode, self._image_of_lungs
        )

        def get(row):
            return get_one(images.read_at_own_size(row), logits[row])

        results = reading.read_files_in_threads(get, range(len(X)), images.paths())
        if self.mode == "boxes":
            return np.array(list(results), int)
        if self.mode == "masks":
            if isinstance(X, list):
                return list(results)
            masks = np.empty(X.shape[:3], bool)
            for row, mask in enumerate(results):
                masks[row] = mask
            return masks
        names = [f"the result of {_name_of_image(X, row)}" for row in range(len(X))]
        results = stack_images(results, names)
        return results[..., 0] if not isinstance(X, list) and X.ndim == 3 else results

    def _box_in_image(self, image, logits):
        """Return the box of an image; ``logits`` are None where the lungs are missing."""
        height, width, _ = image.shape
        if logits is None:
            return 0, 0, height, width
        return lung_geometry.square_around_lungs(logits, height, width, self.margin)

    def _mask_in_image(self, image, logits):
        """Return the mask of an image; ``logits`` are None where the lungs are missing."""
        if logits is None:
            return np.zeros(image.shape[:2], bool)
        return lung_geometry.lung_mask(logits, *image.shape[:2])

    def _image_of_lungs(self, image, logits):
        """Return the crop or the masked image; ``logits`` are None where the lungs are missing."""
        if logits is not None and self.contrast is not None:
            shrunk = reading.resize_image(image, lung_network.IMAGE_SIZE)
            lungs = lung_geometry.lung_mask(logits, *shrunk.shape[:2])
            image = lung_contrast.CHANGES[self.contrast](image, shrunk, lungs)
        if logits is not None and self.mode == "crop":
            box = lung_geometry.square_around_lungs(logits, *image.shape[:2], self.margin)
            image = lung_geometry.cut_out_box(image, box)
        if self.image_size is not None:
            image = reading.resize_image(image, self.image_size)
        if logits is not None and self.mode == "mask":
            image = image * lung_geometry.soft_lung_mask(logits, *image.shape[:2])[..., None]
        return image


def _name_of_image(X, row):
    """Name an image in a message: by its path, or by its row in an array."""
    return repr(X[row]) if isinstance(X, list) else f"X[{row}]"
