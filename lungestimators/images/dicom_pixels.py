"""Read the stored values of the first frame of a DICOM file: their bits, sign and padding."""

from typing import NamedTuple

import numpy as np

from . import dicom_elements, dicom_padding, dicom_streams

# By how much values of lossy streams may exceed the range of the stored bits, as a share of it.
_OVERSHOOT = 1 / 16

_RUN_LENGTHS = "1.2.840.10008.1.2.5"

_FLOATS = {"FloatPixelData": "Float", "DoubleFloatPixelData": "DoubleFloat"}


class StoredFrame(NamedTuple):
    """The first frame of a DICOM file as it is stored."""

    values: np.ndarray  # (height, width) or (height, width, 3)
    bits: int | None  # None: the values are floats
    signed: bool
    padded: np.ndarray | None  # where there is no picture; None: there is everywhere
    colour: str  # photometric interpretation of the values
    doubt: str | None = None  # how the encoded stream contradicts BitsStored, in words
    deeper: bool = False  # the stream has more bits than BitsStored says

    @property
    def limits(self):
        """The smallest and largest value of the stored bits; of floats, of the pixels."""
        if self.bits is None:
            some = self.values if self.padded is None else self.values[~self.padded]
            return (float(some.min()), float(some.max())) if some.size else (0.0, 1.0)
        n_values = 2.0**self.bits
        low = -n_values / 2 if self.signed else 0.0
        return low, low + n_values - 1


def read_stored_values(dataset, path, n_frames):
    """Read the first frame of a DICOM data set.

    Parameters
    ----------
    dataset : pydicom.Dataset
    path : str
        The file of the data set.
    n_frames : int

    Returns
    -------
    StoredFrame
    """
    if "PixelData" not in dataset:
        return _read_stored_floats(dataset)
    signed = dataset.PixelRepresentation == 1
    colour, doubt, deeper = dataset.PhotometricInterpretation, None, False
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated and syntax != _RUN_LENGTHS:
        values, bits, colour, doubt, words = _read_encoded_stored_values(
            dataset, path, n_frames, signed
        )
        deeper = doubt is not None and bits > dataset.BitsStored
    else:
        words = _read_stored_words(dataset, path, n_frames)
        values, bits = _values_of_stored_bits(words, dataset, signed), dataset.BitsStored
    if values.itemsize == 8:
        values = values.astype(np.float64)  # more digits than the float32 that others become
    padded = None
    if values.ndim == 2 and colour != "PALETTE COLOR":
        padded = dicom_padding.padded_pixels(values, words, dataset, signed)
    return StoredFrame(values, bits, signed, padded, colour, doubt, deeper)


def _read_stored_floats(dataset):
    """Read the first frame of FloatPixelData or DoubleFloatPixelData as a StoredFrame."""
    from pydicom.pixels import pixel_array

    values = pixel_array(dataset, index=0, raw=True)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    with np.errstate(over="ignore"):
        if np.isinf(np.ptp(values)):  # a difference that float32 cannot hold
            values = values.astype(np.float64)
    prefix = next(prefix for name, prefix in _FLOATS.items() if name in dataset)
    value, limit = (dataset.get(f"{prefix}PixelPadding{kind}") for kind in ("Value", "RangeLimit"))
    padded = None if value is None else dicom_padding.in_padding_range(values, value, limit)
    return StoredFrame(values, None, True, padded, dataset.PhotometricInterpretation)


def _read_stored_words(dataset, path, n_frames):
    """Read pixels that are not encoded, or by run lengths only: all bits of each, unsigned."""
    from pydicom.pixels import pixel_array

    if dataset.file_meta.TransferSyntaxUID == _RUN_LENGTHS:
        frame = dicom_streams.first_frame_as_stream(dataset, path, n_frames)
        # Over a damaged frame, the decoder of pylibjpeg-rle raises what is no Exception.
        colour = dataset.PhotometricInterpretation
        return _decode_stored_values(
            frame, dataset, dataset.BitsAllocated, colour, plugin="pydicom"
        )
    options = {
        "bits_stored": dataset.BitsAllocated,
        "pixel_representation": 0,
        "number_of_frames": n_frames,
    }
    if dataset.PhotometricInterpretation == "YBR_PARTIAL_422":
        options["photometric_interpretation"] = "YBR_FULL_422"  # which has the same layout
    # This table is for encoded frames, and pydicom would use it here, too.
    has_offsets = dataset.pop("ExtendedOffsetTable", None) is not None
    # Given the path, pydicom reads one frame of many. It cannot where the file has no header, or is
    # deflated.
    syntax = dataset.file_meta.TransferSyntaxUID
    one_of_many = n_frames > 1 and dataset.preamble and not syntax.is_deflated and not has_offsets
    words = pixel_array(path if one_of_many else dataset, index=0, raw=True, **options)
    return words.astype(words.dtype.newbyteorder("="), copy=False)


def _values_of_stored_bits(words, dataset, signed):
    """Return the values of the stored bits of words, at the place that HighBit says."""
    allocated, stored = 8 * words.itemsize, dataset.BitsStored
    high_bit = dicom_elements.element_high_bit(dataset)
    lowest = high_bit + 1 - stored
    if (
        lowest
        and not _stored_values_embed_overlays(dataset)
        and (words & ((1 << lowest) - 1)).any()
    ):
        raise ValueError(
            f"its HighBit {high_bit} says that the {lowest} lowest bits of its pixels "
            "hold nothing, and they do"
        )
    if signed:
        words = words.view(f"i{words.itemsize}")
    if stored < allocated:
        words = words << (allocated - stored - lowest)
        words >>= allocated - stored
    return words


def _stored_values_embed_overlays(dataset):
    """Whether unused bits of the pixels hold graphics (retired from the standard)."""
    for group in range(0x6000, 0x6020, 2):
        position = dataset.get((group, 0x0102))
        if position is not None and position.value and (group, 0x3000) not in dataset:
            return True
    return False


def _read_encoded_stored_values(dataset, path, n_frames, signed):
    """Decode the first frame of JPEG, JPEG-LS or JPEG 2000 pixels.

    Returns
    -------
    values : ndarray
    bits : int
    colour : str
    doubt : str or None
    words : ndarray or None
        All bits of the stream, where it has 16, as a padding value has.
    """
    from pydicom.uid import JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

    syntax = dataset.file_meta.TransferSyntaxUID
    frame = dicom_streams.first_frame_as_stream(dataset, path, n_frames)
    if syntax in JPEG2000TransferSyntaxes:
        header = dicom_streams.read_jpeg_2000_stream_header(frame)
    elif syntax in JPEGLSTransferSyntaxes or syntax in JPEGTransferSyntaxes:
        header = dicom_streams.read_jpeg_stream_header(frame)
    else:
        raise ValueError(f"DICOM in {syntax.name}, which is not supported")
    dicom_streams.check_stream_header(header, dataset)
    colour = dicom_streams.colour_of_stream(header, dataset.PhotometricInterpretation)
    words = _decode_stored_values(frame, dataset, header.bits, colour, header.signed, header.plugin)
    if header.signed:
        words = words.view(f"u{words.itemsize}")
    words &= words.dtype.type((1 << header.bits) - 1)
    values, bits, doubt = _stored_values_at_depth(words, header, dataset, signed)
    return values, bits, colour, doubt, words if header.bits == 16 else None


def _decode_stored_values(frame, dataset, bits, colour, signed=False, plugin=""):
    """Decode an encoded frame by pydicom; return its pixels as words."""
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder

    container = next(size for size in (8, 16, 32, 64) if bits <= size)
    try:
        return get_decoder(dataset.file_meta.TransferSyntaxUID).as_array(
            encapsulate([frame]),
            index=0,
            raw=True,
            validate=False,
            rows=dataset.Rows,
            columns=dataset.Columns,
            samples_per_pixel=dataset.SamplesPerPixel,
            number_of_frames=1,
            bits_allocated=container,
            bits_stored=container,
            pixel_representation=int(signed),
            planar_configuration=0,
            photometric_interpretation=colour,
            decoding_plugin=plugin,
        )[0]
    except RuntimeError as error:  # its text has a line for each decoder
        reason = str(error).split("\n")[-1].strip()[:70]
        name = dataset.file_meta.TransferSyntaxUID.name
        raise ValueError(
            f"its {bits}-bit pixels in {name} cannot be decoded ({reason}); "
            "pip install 'lungestimators[dicom]' brings all decoders"
        ) from error


def _stored_values_at_depth(words, header, dataset, signed):
    """Return the values of a stream, by its own bits or by BitsStored, where these differ.

    Returns
    -------
    values : ndarray
    bits : int
    doubt : str or None
    """
    depth, stored = header.bits, dataset.BitsStored
    doubt = f"its stream has {depth} bits a sample, and BitsStored says {stored}"
    if signed and dicom_streams.is_cosine_transformed_stream(dataset):
        _check_sign_of_stored_values(
            words, header, signed, "its stream is one of a discrete cosine transform"
        )
    if depth == stored:
        return _signed_stored_values(words, depth) if signed else words, depth, None
    high_bit = dicom_elements.element_high_bit(dataset)
    if high_bit != stored - 1:
        raise ValueError(f"{doubt} and HighBit {high_bit}: its values cannot be told")
    if depth < stored:
        _check_sign_of_stored_values(words, header, signed, doubt)
        return (
            _signed_stored_values(words, depth) if signed and header.signed else words,
            depth,
            doubt,
        )
    whole = _signed_stored_values(words, depth) if signed else words
    if _stored_values_embed_overlays(dataset):
        few = words & words.dtype.type((1 << stored) - 1)
        return _signed_stored_values(few, stored) if signed else few, stored, None
    low = -(2 ** (stored - 1)) if signed else 0
    high = low + 2**stored - 1
    slack = _OVERSHOOT * 2**stored * dicom_streams.is_lossy_stream(dataset)
    some = whole
    value, limit = dicom_padding.padding_words(dataset)
    if depth == 16 and header.samples == 1 and value is not None and limit is None:
        # The bits that are not stored may be what tells padding from pixels.
        pixels = words != value
        some = whole[pixels] if pixels.any() else whole
    if low - slack <= some.min() and some.max() <= high + slack:
        return np.clip(whole, low, high), stored, None
    _check_sign_of_stored_values(words, header, signed, doubt)
    if signed and not header.signed and words.max() < 2**stored:
        raise ValueError(f"{doubt}: which of them is the sign cannot be told")
    return whole, depth, doubt


def _check_sign_of_stored_values(words, header, signed, doubt):
    """Raise where sign and depth of a stream are both in doubt."""
    if header.signed != signed and (words >> (header.bits - 1)).any():
        raise ValueError(
            f"{doubt}; either its stream or its PixelRepresentation says that values are signed, "
            "and not both: they cannot be told"
        )


def _signed_stored_values(words, bits):
    """Read the lowest bits of words as signed numbers, in two's complement."""
    unused = 8 * words.itemsize - bits
    return words.view(f"i{words.itemsize}") << unused >> unused
