"""Random DICOM files are read as an independent reading says, or refused; none differs."""

import os
import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_encoder
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from lungestimators import ImageReadError
from lungestimators.images import reading

from .dicom_reference import Description, Table, Transformations, shown

N_CASES = int(os.environ.get("LUNGESTIMATORS_CASES", 3000))

NATIVE = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]
STREAMS = [JPEG2000Lossless, JPEGLSLossless]

# One step of 8 bits: pydicom's colours are whole numbers.
ROUNDED = 1.01 / 255
EXACT = 2e-6


# How files are written


def write(path, description):
    """Write a file by hand, but for the order of elements and for encoders."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = description.syntax
    dataset.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.SOPClassUID, dataset.SOPInstanceUID = ComputedRadiographyImageStorage, "1.2.3"
    dataset.Modality = "CR"
    dataset.PhotometricInterpretation = description.photometric
    dataset.Rows, dataset.Columns = description.values.shape[1:3]
    dataset.SamplesPerPixel = 3 if description.values.ndim == 4 else 1
    if dataset.SamplesPerPixel == 3:
        dataset.PlanarConfiguration = description.planar
    if len(description.values) > 1:
        dataset.NumberOfFrames = len(description.values)
    dataset.BitsAllocated, dataset.BitsStored = description.allocated, description.stored
    dataset.HighBit = description.high_bit
    dataset.PixelRepresentation = int(description.signed)
    for name, value in (("Value", "padding"), ("RangeLimit", "padding_limit")):
        if (number := getattr(description, value)) is not None:
            dataset.add_new(f"PixelPadding{name}", "SS" if description.signed else "US", number)
    order = "big" if description.syntax == ExplicitVRBigEndian else "little"
    for colour, table in zip(("Red", "Green", "Blue"), description.palette, strict=False):
        name = f"{colour}PaletteColorLookupTable"
        add_table(dataset, table, f"{name}Descriptor", f"{name}Data", order)
    add_places(dataset, description, order)
    dataset.add_new("PixelData", *pixels_of(description, order))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a decimal comma is none of the standard's
        dataset.save_as(path, enforce_file_format=True)


def add_table(dataset, table, descriptor, data, order):
    first = table.first
    n_entries = len(table.entries) % 2**16
    dataset.add_new(descriptor, "US", [n_entries, first % 2**16, table.bits])
    entries = table.entries.astype(np.uint16)
    if table.packed:
        entries = np.append(entries, np.zeros(len(entries) % 2, np.uint16))
        entries = entries[::2] | entries[1::2] << 8
    dataset.add_new(data, "OW", entries.astype(">u2" if order == "big" else "<u2").tobytes())


def add_places(dataset, description, order):
    groups = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")
    for number, place in enumerate(description.places[:2]):
        if place == Transformations():
            continue
        values, interest = Dataset(), Dataset()
        add_transformations(values, interest, place, order)
        item = Dataset()
        item.PixelValueTransformationSequence = [values]
        item.FrameVOILUTSequence = [interest]
        setattr(dataset, groups[number], [item])
    if description.places:
        add_transformations(dataset, dataset, description.places[2], order)


def add_transformations(values, interest, place, order):
    for name, text in (("Slope", place.slope), ("Intercept", place.intercept)):
        if text is not None:
            add_text(values, f"Rescale{name}", text)
    for holder, table, name in (
        (values, place.modality, "ModalityLUTSequence"),
        (interest, place.interest, "VOILUTSequence"),
    ):
        if table is not None:
            item = Dataset()
            add_table(item, table, "LUTDescriptor", "LUTData", order)
            setattr(holder, name, [item])
    if place.centers:
        add_text(interest, "WindowCenter", "\\".join(place.centers))
        add_text(interest, "WindowWidth", "\\".join(place.widths))
    if place.function:
        interest.VOILUTFunction = place.function


def add_text(dataset, name, text):
    """Add an element of text that pydicom would not accept as a number."""
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    value = text.encode() + b" " * (len(text) % 2)
    dataset[Tag(name)] = RawDataElement(Tag(name), "DS", len(value), value, 0, False, True)


def pixels_of(description, order):
    """The VR and the bytes of pixel data."""
    values = description.values
    if description.syntax in STREAMS:
        return "OB", encapsulate([encoded(description, frame, None) for frame in values])
    words = values & ((1 << description.stored) - 1)
    words = words << (description.high_bit + 1 - description.stored)
    field = ((1 << description.stored) - 1) << (description.high_bit + 1 - description.stored)
    above = ((1 << description.allocated) - 1) & ~((1 << description.high_bit + 1) - 1)
    words = words | (description.garbage & above & ~field)
    if description.allocated == 1:
        packed = np.packbits(words.ravel().astype(np.uint8), bitorder="little")
        return "OB" if len(packed) > 1 else "OW", packed.tobytes() + bytes(len(packed) % 2)
    if description.syntax == RLELossless:
        return "OB", encapsulate([encoded(description, frame, words) for frame in words])
    if description.photometric.endswith("422"):  # Y Y B R for two pixels
        left, right = words[..., ::2, :], words[..., 1::2, :]
        words = np.stack([left[..., 0], right[..., 0], left[..., 1], left[..., 2]], axis=-1)
    elif description.planar and words.ndim == 4:
        words = np.moveaxis(words, -1, 1)
    size = description.allocated // 8
    content = words.astype(f"{'>' if order == 'big' else '<'}u{size}").tobytes()
    content += bytes(len(content) % 2)
    if size == 1 and description.as_words:
        if order == "big":
            content = np.frombuffer(content, "<u2").byteswap().tobytes()
        return "OW", content
    return "OB" if size == 1 else "OW", content


def encoded(description, frame, words):
    """One frame, encoded at the depth of the stream."""
    runs = words is not None
    depth = description.allocated if runs else description.depth
    size = next(size for size in (1, 2, 4) if depth <= 8 * size)
    signed = description.signed and description.syntax == JPEG2000Lossless
    if not signed:
        frame = frame & ((1 << depth) - 1)
    frame = frame.astype(f"<{'i' if signed else 'u'}{size}")
    return get_encoder(description.syntax).encode(
        frame.tobytes(),
        validate=False,
        rows=frame.shape[0],
        columns=frame.shape[1],
        samples_per_pixel=3 if frame.ndim == 3 else 1,
        number_of_frames=1,
        bits_allocated=8 * size,
        bits_stored=depth,
        pixel_representation=int(signed),
        photometric_interpretation=description.photometric,
        planar_configuration=0,
    )


# Which files are written


@st.composite
def descriptions(draw):
    photometric = draw(
        st.sampled_from(
            ["MONOCHROME2"] * 5
            + ["MONOCHROME1"] * 3
            + ["PALETTE COLOR", "RGB", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422"]
        )
    )
    grey = photometric.startswith("MONOCHROME")
    syntax = draw(st.sampled_from(NATIVE * 2 + [RLELossless] + STREAMS * 2))
    if photometric.endswith("422"):
        syntax = draw(st.sampled_from(NATIVE))
    if photometric.startswith("YBR") and syntax == RLELossless:
        syntax = ExplicitVRLittleEndian
    dice = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    allocated = draw(st.sampled_from([8, 8, 16, 16, 16, 16, 32] + [1] * grey))
    if allocated == 1 or (syntax in STREAMS and allocated == 32):
        allocated, syntax = (1, draw(st.sampled_from(NATIVE))) if allocated == 1 else (16, syntax)
    fewest = 1 if grey else 4
    stored = allocated
    if draw(st.booleans()):
        stored = int(dice.integers(min(fewest, allocated), allocated + 1))
    high_bit = stored - 1
    if syntax not in STREAMS and draw(st.integers(0, 5)) == 0:
        high_bit = int(dice.integers(stored - 1, allocated))
    signed = stored > 1 and (grey or photometric == "PALETTE COLOR") and draw(st.booleans())
    depth = None
    if syntax in STREAMS:
        depth = stored if draw(st.booleans()) else int(dice.integers(2, 17))
        depth = max(depth, 2)
    least = {JPEG2000Lossless: 32, JPEGLSLossless: 8}.get(syntax, 1)  # for the encoders
    side = st.integers(least, least + 8)
    shape = draw(st.sampled_from([1, 1, 1, 3])), draw(side), draw(side)
    if photometric.endswith("422"):
        shape = (*shape[:2], 2 * shape[2])
    shape = shape if grey or photometric == "PALETTE COLOR" else (*shape, 3)
    bits = stored if depth is None else depth
    description = Description(
        photometric,
        values_in(draw, dice, shape, bits, signed, min(bits, stored)),
        allocated,
        stored,
        high_bit,
        signed,
        str(syntax),
        depth,
        planar=draw(st.integers(0, 1)) * (syntax in NATIVE and not photometric.endswith("422")),
        garbage=draw(st.sampled_from([0, 0, 2**64 - 1, 0x5A5A5A5A])),
        as_words=draw(st.booleans()),
    )
    if photometric.endswith("422"):
        description.values[:, :, 1::2, 1:] = description.values[:, :, ::2, 1:]
    if photometric == "PALETTE COLOR":
        description.palette = palette_of(draw, dice, description.values)
    if grey:
        add_grey(draw, dice, description)
    return description


def values_in(draw, dice, shape, bits, signed, few):
    """Stored values: everything that the bits hold, a part of it, a ramp, or one value."""
    low = -(2 ** (bits - 1)) if signed else 0
    kind = draw(st.sampled_from(["all", "all", "few", "part", "ramp", "one"]))
    if kind == "few":  # what fewer bits hold
        bits = int(dice.integers(1, few + 1))
        low = -(2 ** (bits - 1)) if signed and draw(st.booleans()) else 0
    high = low + 2**bits - 1
    if signed and kind == "few" and low == 0:
        high //= 2
    if kind == "ramp":
        return np.linspace(low, high, int(np.prod(shape))).round().astype(np.int64).reshape(shape)
    if kind == "one":
        return np.full(shape, dice.integers(low, high + 1))
    if kind == "part":
        low, high = np.sort(dice.integers(low, high + 1, 2))
    return dice.integers(low, high + 1, shape)


def table_of(draw, dice, low, high, signed):
    """A table for values about low to high, with a descriptor that may be wrong about bits."""
    n_entries = int(min(high - low + 1, 2**16, draw(st.sampled_from([1, 5, 256, 4096, 2**16]))))
    least, most = (-(2**15), 2**15 - 1) if signed else (0, 2**16 - 1)
    first = int(np.clip(low + draw(st.sampled_from([0, 0, 1, -3])), least, most))
    needed = draw(st.sampled_from([8, 8, 10, 12, 13, 16]))
    bits = draw(st.sampled_from([needed, needed, 16]))
    entries = dice.integers(0, 2**needed, n_entries)
    if draw(st.booleans()):
        entries = np.sort(entries)
    packed = bits == 8 and n_entries > 1 and draw(st.booleans())
    return Table(first, entries, bits, packed)


def palette_of(draw, dice, values):
    low, high = int(values.min()), int(values.max())
    return tuple(table_of(draw, dice, low, high, low < 0) for _ in range(3))


def text(draw, number):
    """A number as DICOM writes it, sometimes with a comma."""
    written = f"{number:.6g}"
    return written.replace(".", ",") if draw(st.integers(0, 7)) == 0 else written


def add_grey(draw, dice, description):
    signed, values = description.signed, description.values[0]
    if draw(st.integers(0, 4)) == 0 and abs(values).max() < 2 ** (16 - signed):
        description.padding = int(dice.choice(values.ravel()))
        if draw(st.booleans()):
            description.padding_limit = int(dice.choice(values.ravel()))
    low = -(2 ** (description.stored - 1)) if signed else 0
    high = low + 2**description.stored - 1
    in_groups = draw(st.integers(0, 2)) == 0
    places = []
    for place in range(3):
        if place < 2 and not (in_groups and draw(st.booleans())):
            places.append(Transformations())
            continue
        places.append(transformations(draw, dice, values, low, high, signed, place == 2))
    description.places = tuple(places)


def transformations(draw, dice, values, low, high, signed, of_file):
    place = Transformations()
    kind = draw(st.sampled_from(["none", "none", "slope", "slope", "half", "empty", "table"]))
    slope, intercept = 1.0, 0.0
    if kind == "slope":
        slope = draw(st.sampled_from([1.0, 1.0, -1.0, 2.0, 0.5, -0.25, 3.7, 0.0]))
        intercept = draw(st.sampled_from([0.0, -1024.0, 1000.5, 7.0]))
        place.slope, place.intercept = text(draw, slope), text(draw, intercept)
    elif kind == "half":
        slope = draw(st.sampled_from([-1.0, 2.0]))
        place.slope = text(draw, slope)
    elif kind == "empty":
        place.slope, place.intercept = "", ""
    elif kind == "table" and of_file:
        place.modality = table_of(draw, dice, int(values.min()), int(values.max()), low < 0)
    if place.modality:
        reached = np.array([0, place.modality.entries.max()])
    else:
        reached = np.sort(np.array([values.min(), values.max()]) * slope + intercept)
        low, high = sorted([low * slope + intercept, high * slope + intercept])
    interest = draw(st.sampled_from(["none", "none", "window", "window", "window", "table"]))
    if interest == "window":
        for _ in range(draw(st.sampled_from([1, 1, 2, 3]))):
            center, width = np.mean(reached), max(2.0, np.ptp(reached))
            center += draw(st.sampled_from([0, 0, 0.25, -0.3, 9])) * width
            width *= draw(st.sampled_from([1, 0.5, 0.1, 2, 0, 40]))
            place.centers.append(text(draw, center))
            place.widths.append(text(draw, width) if draw(st.integers(0, 9)) else "")
        if draw(st.integers(0, 5)) == 0:
            place.widths.pop()
        place.function = draw(st.sampled_from([None, None, "LINEAR", "LINEAR_EXACT", "SIGMOID"]))
    elif interest == "table":
        bottom = 0 if place.modality else low
        least = int(np.floor(reached[0]))
        place.interest = table_of(draw, dice, least, int(np.ceil(reached[1])), bottom < 0)
    return place


@pytest.mark.slow
def test_random_files_are_read_as_the_standard_says_or_refused(tmp_path):
    path = str(tmp_path / "a.dcm")
    outcomes = Counter()

    @settings(
        max_examples=N_CASES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(descriptions())
    def compare(description):
        try:
            write(path, description)
        except RuntimeError:  # JPEG-LS has too little room for noise
            assert description.syntax == JPEGLSLossless
            reject()
        outcomes["all"] += 1
        channels = 1 if description.photometric.startswith("MONOCHROME") else 3
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pixels = reading.read_image(path, channels)
        except ImageReadError:
            outcomes["refused"] += 1
            outcomes["refused", description.photometric] += 1
            return
        expected = shown(description)
        outcomes["read", description.photometric] += 1
        depths = description.stored, description.depth
        whole = description.photometric.startswith("YBR_FULL") and 8 in depths
        np.testing.assert_allclose(
            pixels.reshape(expected.shape), expected, rtol=0, atol=ROUNDED if whole else EXACT
        )

    compare()
    assert outcomes["all"] >= N_CASES
    assert outcomes["refused"] < outcomes["all"] / 5
    for photometric in ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL"):
        assert outcomes["read", photometric] > outcomes["all"] / 100
    print(outcomes)
