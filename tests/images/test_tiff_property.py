"""Files of random layouts are read as they were written, or they are named."""

import io
import os
import warnings
from collections import Counter

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lungestimators import ImageReadError
from lungestimators.images import file_checks, reading

from .tiff_writer import png, tiff

CASES = int(os.environ.get("LUNGESTIMATORS_CASES", 2000))
BOUNDED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
LUMINANCE = np.array([0.299, 0.587, 0.114])


def black_and_white(values, bits, kind):
    """The documented rule: what the bits declare, 4095 or 255, or the extremes."""
    low, high = float(values.min()), float(values.max())
    if kind == "u" and bits <= 16:
        declared = 2.0**bits - 1
        if bits <= 8 or (bits < 16 and high >= 2 ** (bits - 4)):
            return 0.0, declared
        return 0.0, 65535.0 if high > 4095 else 4095.0 if high > 255 else 255.0
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    if low >= 0 and high <= 255:
        return 0.0, 255.0
    return low, high


def scaled(values, limits):
    low, high = limits
    return np.zeros(values.shape) if high == low else (values / 2 - low / 2) / (high / 2 - low / 2)


def turned(pixels, orientation):
    """The eight orientations, as the standard says where the first row and column lie."""
    rows, columns = {
        1: ("top", "left"),
        2: ("top", "right"),
        3: ("bottom", "right"),
        4: ("bottom", "left"),
        5: ("left", "top"),
        6: ("right", "top"),
        7: ("right", "bottom"),
        8: ("left", "bottom"),
    }[orientation]
    if rows in ("left", "right"):  # the first row is a column of what is shown
        pixels = pixels.transpose(1, 0, 2)
        rows, columns = columns, rows
    if rows == "bottom":
        pixels = np.flipud(pixels)
    return np.fliplr(pixels) if columns == "right" else pixels


def values_of(rng, shape, bits, kind, style):
    """Random samples of several ranges, as their values."""
    if kind == "f":
        unit = rng.random(shape)
        factor, offset = {
            "all": (2000, -1000),
            "few": (200, 0),
            "fewer": (1, 0),
            "far": (1, 1000),
            "constant": (0, 7),
        }[style]
        return (unit * factor + offset).astype(f"f{bits // 8}")
    lowest, highest = (0, 2**bits - 1) if kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    highest = min(highest, 2**53)
    lowest = max(lowest, -(2**53))
    reach = {
        "all": (lowest, highest),
        "few": (0, min(highest, 4095)),
        "fewer": (0, min(highest, 200)),
        "far": (max(highest - 100, lowest), highest),
        "constant": (min(highest, 77),) * 2,
    }[style]
    dtype = f"{kind}{max(bits, 8) // 8 if bits in (8, 16, 32, 64) else 2}"
    return rng.integers(*reach, size=shape, endpoint=True, dtype=np.int64).astype(dtype)


@st.composite
def tiff_files(draw):
    """A TIFF as bytes, and what it shows: (height, width, 1 or 3) in 0..1, and how exactly."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    photometric = draw(st.sampled_from([0, 1, 1, 2, 2, 5]))
    kind = draw(st.sampled_from("uuuuuuif" if photometric == 5 else "uuuuif"))
    bits = draw(
        st.sampled_from(
            {
                "u": [1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 9, 10, 12, 12, 14, 15, 16, 16, 16, 24, 32, 64],
                "i": [8, 16, 32, 64],
                "f": [16, 32, 64],
            }[kind]
        )
    )
    n_colours = {0: 1, 1: 1, 2: 3, 5: 4}[photometric]
    extras = [(), (), (), (0,), (2,), (2, 0) if n_colours > 1 else (2,)]
    if (photometric in (1, 2) and kind != "i") or draw(st.integers(0, 9)) == 0:
        extras.append((1,))
    extra = draw(st.sampled_from(extras))
    shape = draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    style = draw(st.sampled_from(["all", "all", "few", "fewer", "far", "constant"]))
    values = values_of(rng, (*shape, n_colours + len(extra)), bits, kind, style)
    premultiplied = extra[:1] == (1,)
    if premultiplied and kind == "f":
        values = abs(values)
    if premultiplied:  # no colour is above its alpha
        values[..., n_colours] = values[..., : n_colours + 1].max(axis=2)
    order = draw(st.sampled_from("<>"))
    compression = draw(st.sampled_from([1, 1, 5, 8, 32773]))
    predictors = {5: [1, 2], 8: [1, 2]}.get(compression, [1])
    if kind == "f" and len(predictors) > 1:
        predictors = [1, 2, 3]
    options = {
        "planar": draw(st.sampled_from([1, 2])),
        "predictor": draw(st.sampled_from(predictors)),
        "orientation": draw(st.sampled_from([1, 1, *range(2, 9)])),
    }
    if draw(st.booleans()):
        options["tile"] = draw(st.sampled_from([(16, 16), (16, 32), (32, 16)]))
    else:
        options["rows"] = draw(st.integers(1, shape[0]))
    by_tifffile = (
        bits in (8, 16, 32, 64)
        and compression in (1, 8)
        and options["predictor"] == 1
        and extra != (2, 0)
        and draw(st.booleans())
    )
    if by_tifffile:
        content = written_by_tifffile(values, photometric, extra, order, compression, options)
    else:
        width = {8: "u1", 16: "u2", 32: "u4", 64: "u8"}.get(bits)
        as_bits = values.view(width) if width else values
        options["fill_order"] = draw(st.sampled_from([1, 1, 1, 2]))
        options["pages"] = draw(st.sampled_from([1, 1, 2]))
        options["big"] = order == "<" and draw(st.sampled_from([False, False, True]))
        name = draw(st.sampled_from(["u", "?"])) if kind == "u" else kind
        content = tiff(
            as_bits.astype(np.uint64),
            bits=bits,
            photometric=photometric,
            kind=name,
            extra=extra,
            order=order,
            compression=compression,
            **options,
        )
    colours = values[..., :n_colours].astype(np.float64)
    tolerance = 2e-6
    if premultiplied:
        alpha = values[..., n_colours : n_colours + 1].astype(np.float64)
        shown = np.divide(colours, alpha, out=np.zeros(colours.shape), where=alpha > 0)
        tolerance = 1.01 / 255 if (bits, kind) == (8, "u") else tolerance
    elif photometric == 5:
        shown = colours / (2.0**bits - 1)
    else:
        shown = scaled(colours, black_and_white(values[..., :n_colours], bits, kind))
    if photometric == 0:
        shown = 1 - shown
    elif photometric == 5:
        shown = (1 - shown[..., :3]) * (1 - shown[..., 3:])
        tolerance = 1.01 / 255 if bits == 8 else tolerance
    shown = turned(shown, options["orientation"])
    return content, shown, tolerance, bits == 8 and kind == "u"


def written_by_tifffile(values, photometric, extra, order, compression, options):
    buffer = io.BytesIO()
    planar = options["planar"] == 2 and values.shape[2] > 1
    data = values.transpose(2, 0, 1) if planar else values
    tifffile.imwrite(
        buffer,
        data[..., 0] if values.shape[2] == 1 else np.ascontiguousarray(data),
        byteorder=order,
        photometric={0: "miniswhite", 1: "minisblack", 2: "rgb", 5: "separated"}[photometric],
        planarconfig=("separate" if planar else "contig") if values.shape[2] > 1 else None,
        extrasamples=extra or None,
        compression="zlib" if compression == 8 else None,
        tile=options.get("tile"),
        rowsperstrip=options.get("rows"),
        extratags=[(274, 3, 1, options["orientation"], True)],
        metadata=None,
    )
    return buffer.getvalue()


def compare(path, content, shown, tolerance, eight_bits, outcomes):
    """Read a file in grey and in colour, and compare it with what it shows."""
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            in_colour = reading.read_image(str(path), 3)
            in_grey = reading.read_image(str(path), 1)
        except ImageReadError as error:
            assert str(path) in str(error)
            outcomes["refused"] += 1
            outcomes[str(error).split("read: ")[1][:70]] += 1
            with pytest.raises(ImageReadError):
                reading.read_image(str(path), 1)
            return
        file_checks.check_files([str(path)])  # what can be read is not refused beforehand
    outcomes["read"] += 1
    np.testing.assert_allclose(in_colour, np.repeat(shown, 3 // shown.shape[2], 2), atol=tolerance)
    grey = shown @ LUMINANCE if shown.shape[2] == 3 else shown[..., 0]
    rounding = 1 / 255 if eight_bits and shown.shape[2] == 3 else 0  # Pillow's grey has 8 bits
    np.testing.assert_allclose(in_grey[..., 0], grey, atol=tolerance + rounding)


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("options", [{"rows": 3}, {"tile": (16, 32)}, {"predictor": 2}])
def test_what_the_writer_of_these_tests_writes_is_what_tifffile_reads(bits, order, planar, options):
    samples = np.random.default_rng(0).integers(0, 2**bits, (20, 40, 3), dtype=np.uint64)
    content = tiff(
        samples, bits=bits, photometric=2, order=order, compression=8, planar=planar, **options
    )
    found = tifffile.imread(io.BytesIO(content))
    np.testing.assert_array_equal(found.transpose(1, 2, 0) if planar == 2 else found, samples)


@pytest.mark.slow
def test_a_tiff_of_any_layout_is_read_as_it_was_written_or_named(tmp_path):
    outcomes = Counter()

    @settings(BOUNDED, max_examples=CASES)
    @given(tiff_files())
    def check(case):
        compare(tmp_path / "a.tif", *case, outcomes)

    check()
    print(outcomes.most_common())
    assert outcomes["read"] > 5 * outcomes["refused"]


@st.composite
def palettes(draw):
    """A TIFF of a palette, of 16 bits or of 8 in 16."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    bits = draw(st.sampled_from([1, 2, 4, 8]))
    high = draw(st.sampled_from([255, 65535]))
    colours = rng.integers(0, high, (3, 2**bits), endpoint=True)
    colours[:, 0] = high
    index = rng.integers(0, 2**bits, draw(st.tuples(st.integers(1, 9), st.integers(1, 9))))
    content = tiff(
        index[..., None].astype(np.uint64),
        bits=bits,
        photometric=3,
        order=draw(st.sampled_from("<>")),
        compression=draw(st.sampled_from([1, 5, 8, 32773])),
        fill_order=draw(st.sampled_from([1, 2])),
        planar=draw(st.sampled_from([1, 2])),
        colormap=colours.ravel().tolist(),
    )
    return content, colours.T[index] / high, 1.01 / 255, True


@st.composite
def png_files(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    colour = draw(st.sampled_from([0, 2, 3, 4, 6]))
    bits = draw(
        st.sampled_from({0: [1, 2, 4, 8, 16, 16], 3: [1, 2, 4, 8]}.get(colour, [8, 16, 16]))
    )
    shape = draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    style = draw(st.sampled_from(["all", "few", "fewer", "far", "constant"]))
    n_samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    values = values_of(rng, (*shape, n_samples), bits, "u", style)
    palette = rng.integers(0, 256, (2**bits, 3)) if colour == 3 else None
    chunks = []
    if draw(st.booleans()):
        chunks.append((b"gAMA", (45455).to_bytes(4)))
    if colour in (0, 2) and draw(st.booleans()):
        chunks.append((b"tRNS", values[0, 0].astype(">u2").tobytes()))
    content = png(
        values,
        bits=bits,
        colour=colour,
        filters=draw(st.lists(st.integers(0, 4), min_size=1, max_size=5)),
        interlaced=draw(st.booleans()),
        palette=palette,
        chunks=chunks,
    )
    colours = values[..., : 3 if n_samples > 2 else 1]
    if colour == 3:
        shown = palette[values[..., 0]] / 255
    else:
        shown = scaled(colours.astype(float), black_and_white(colours, bits, "u"))
    return content, shown, 2e-6, bits <= 8


@st.composite
def portable_maps(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    white = draw(st.sampled_from([1, 15, 100, 254, 255, 256, 1000, 1023, 4095, 65534, 65535]))
    colour, plain = draw(st.booleans()), draw(st.booleans())
    height, width = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    values = rng.integers(0, white, (height, width, 3 if colour else 1), endpoint=True)
    name = {(0, 1): "P2", (1, 1): "P3", (0, 0): "P5", (1, 0): "P6"}[colour, plain]
    content = f"{name}\n# made\n{width} {height}\n{white}\n".encode()
    if plain:
        content += b" # white\n".join(b" %d" % value for value in values.ravel()) + b"\n"
    else:
        content += values.astype(">u2" if white > 255 else "u1").tobytes()
    return content, values / white, 2e-6, white == 255


@pytest.mark.parametrize(
    ("kind", "strategy"),
    {"palette": palettes(), "png": png_files(), "portable map": portable_maps()}.items(),
)
def test_other_files_are_read_as_they_were_written(tmp_path, kind, strategy):
    outcomes = Counter()

    @settings(BOUNDED, max_examples=max(CASES // 10, 100))
    @given(strategy)
    def check(case):
        compare(tmp_path / "a", *case, outcomes)

    check()
    assert outcomes["refused"] == 0, outcomes
