"""Find the pixels of a DICOM file that are padding: where there is no picture."""

from . import dicom_elements


def padded_pixels(values, words, dataset, signed):
    """Return where pixels are padding, as an array of bool; None where none are."""
    value, limit = padding_words(dataset)
    if value is None:
        return None
    padded = None
    if words is not None and words.itemsize >= 2 and limit is None:
        # The bits that are not stored may be what tells padding from pixels.
        padded = words == value
    if signed:
        value, limit = (
            None if n is None else dicom_elements.signed_element_word(n) for n in (value, limit)
        )
    among = in_padding_range(values, value, limit)
    padded = among if padded is None else padded | among
    if not padded.any():
        return None
    if padded.all() and values.min() < values.max():
        raise ValueError("its PixelPaddingRangeLimit leaves no pixel to be seen")
    return padded


def padding_words(dataset):
    """Return the padding value and the limit of its range as words, or None for each."""
    little_endian = dataset.file_meta.TransferSyntaxUID.is_little_endian
    found = (
        dicom_elements.element_words(dataset, f"PixelPadding{kind}", little_endian)
        for kind in ("Value", "RangeLimit")
    )
    return tuple(int(words[0]) if len(words) else None for words in found)


def in_padding_range(values, value, limit):
    """Return where values equal the padding value, or lie between it and the limit if given."""
    low, high = sorted((value, value if limit is None else limit))
    return (values >= low) & (values <= high)
