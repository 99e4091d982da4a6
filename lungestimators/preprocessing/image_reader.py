"""ImageReader: image files as one array."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..images import checking, columns, reading
from ..validation import PathLike, check_whole_number
from .base import ImageTransformer, stack_images


class ImageReader(ImageTransformer):
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
        images = reading.read_images(paths, self.channels, self.image_size)
        return stack_images(images, [repr(path) for path in paths])

    def _check_parameters(self):
        if self.image_size is not None:
            check_whole_number("image_size", self.image_size, 1)
        if isinstance(self.channels, bool) or self.channels not in (1, 3):
            raise ValueError(f"channels={self.channels!r} must be 1 (grey) or 3 (RGB)")

    def _check_X(self, X):
        if not columns.is_column_of_paths(X):
            found = f"an array of shape {X.shape}" if hasattr(X, "shape") else repr(X)[:100]
            raise TypeError(f"ImageReader takes a list or column of paths, not {found}")
