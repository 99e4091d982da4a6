"""ImageReadError: which image files cannot be read, and why."""

import os

from PIL import UnidentifiedImageError

from . import signatures

# Files named in one error; the others are counted.
_NAMED = 10

# What to do where several files were asked for.
LEAVE_OUT = (
    'Leave these files out (the attribute reasons has their paths; fit with on_error="skip" does '
    "so)."
)


class ImageReadError(ValueError):
    """Image files that cannot be read.

    Parameters
    ----------
    reasons : dict of {str: str}
        What is wrong with each file, by its path.
    advice : str, default=""
        What to do, as sentences.

    Attributes
    ----------
    reasons : dict of {str: str}
        What is wrong with each file, by its path.
    advice : str
        What to do, as sentences.

    Examples
    --------
    >>> from lungestimators import CNNClassifier, ImageReadError
    >>> try:
    ...     CNNClassifier().fit(["1.png", "2.png"], ["healthy", "ill"])
    ... except ImageReadError as error:
    ...     print(error)
    2 of the image files cannot be read: '1.png' (there is no such file), '2.png' (there is no \
such file). Leave these files out (the attribute reasons has their paths; fit with \
on_error="skip" does so).
    """

    def __init__(self, reasons: dict[str, str], advice: str = "") -> None:
        super().__init__(reasons, advice)
        self.reasons = reasons
        self.advice = advice

    def __reduce__(self):  # without it Dask's workers cannot hand the error on
        return type(self), (self.reasons, self.advice)

    def __str__(self):
        message = self._message_of_read_error()
        return f"{message}. {self.advice}" if self.advice else message

    def _message_of_read_error(self):
        """Return the sentence that names the files, without the advice."""
        if len(self.reasons) == 1:
            ((path, why),) = self.reasons.items()
            return f"The image file {path!r} cannot be read: {why}"
        named = [f"{path!r} ({why})" for path, why in list(self.reasons.items())[:_NAMED]]
        others = len(self.reasons) - len(named)
        return (
            f"{len(self.reasons)} of the image files cannot be read: {', '.join(named)}"
            + f" and {others} others" * bool(others)
        )


class MissingImageError(ImageReadError, FileNotFoundError):
    """An :class:`ImageReadError` where some of the files do not exist."""


def image_read_error(reasons, advice=""):
    """Return the :class:`ImageReadError` for a dict from paths to what is wrong with the files.

    Returns
    -------
    ImageReadError
        A :class:`MissingImageError` where one of the files does not exist.
    """
    missing = any(not os.path.exists(path) for path in reasons)
    return (MissingImageError if missing else ImageReadError)(reasons, advice)


def reason_of_read_error(exception, path=None):
    """Say in one line why a file cannot be read, from the exception of its decoder.

    Parameters
    ----------
    exception : Exception
    path : str, optional
        The file. Where the exception says little, the first bytes of the file say more.

    Returns
    -------
    str
    """
    if isinstance(exception, FileNotFoundError):
        return "there is no such file"
    if isinstance(exception, MemoryError):
        return "it needs more memory than there is"
    text = getattr(exception, "strerror", None) or " ".join(str(exception).split())
    described = None
    if isinstance(exception, UnidentifiedImageError):
        described = path and signatures.describe_signature(path)
        text = "it is not an image: neither DICOM nor a format that Pillow knows"
    elif isinstance(exception, OSError | SyntaxError | ValueError) and path:
        described = signatures.describe_jpeg_signature(path)
    if text.startswith("decoder error"):
        text = f"its compressed pixels are damaged, or end too early ({text})"
    return described or text[:200] or type(exception).__name__
