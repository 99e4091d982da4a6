"""Decode TIFF files that Pillow does not read without loss: their layout, their colours.

Of 16-bit colours Pillow keeps the upper 8 bits, and some layouts Pillow mistakes for others.
"""

from typing import NamedTuple

import numpy as np
from PIL import TiffImagePlugin

from . import pixel_ranges, tiff_samples

# Compressions that allow a predictor.
_PREDICTED = {5, 8, 32946, 34925, 50000}

# Photometric interpretation -> colour samples of a pixel: white is 0, black is 0, RGB, palette,
# CMYK.
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4}

# Compressions that only some builds of Pillow decode.
OPTIONAL_COMPRESSIONS = {34925: "LZMA", 50000: "Zstandard", 50001: "WebP"}

_NAMES = {
    4: "a mask",
    6: "YCbCr",
    8: "CIE L*a*b*",
    9: "ICC L*a*b*",
    10: "ITU L*a*b*",
    32803: "the raw samples of a camera",
    32844: "LogL",
    32845: "LogLuv",
    34892: "the raw samples of a camera",
}

_MOST_SAMPLES = 8  # of a pixel


class TiffLayout(NamedTuple):
    """What the first page of a TIFF says about its pixels."""

    order: str  # of bytes: "<" or ">"
    width: int
    height: int
    n_samples: int
    bits: tuple
    formats: tuple  # 1 unsigned, 2 signed, 3 float, others
    photometric: int
    compression: int
    predictor: int
    fill_order: int
    planar: int  # 1: the samples of a pixel lie together, 2: each in a plane of its own
    extra: tuple  # what samples beyond the colours are: 1 is alpha that they were multiplied by
    orientation: int
    colormap: tuple
    tiled: bool
    block: tuple  # height and width of a strip or tile
    offsets: tuple
    counts: tuple
    has_several_pages: bool

    @property
    def is_plain(self):
        """Whether Pillow reads the samples without loss, if it knows the layout at all."""
        return (
            set(self.formats) == {1}
            and (set(self.bits) == {8} or (self.n_samples == 1 and self.bits[0] in (1, 2, 4)))
            and (self.bits[0] == 8 or self.predictor == 1)
            # In planes, and with mirrored bits, Pillow forgets alpha, or whether white is zero.
            and not (
                (self.planar == 2 or self.fill_order == 2)
                and self.compression in tiff_samples.BYTEWISE
            )
            # Of the 16 bits of a palette Pillow keeps the upper 8.
            and not (self.photometric == 3 and max(self.colormap, default=0) < 256)
        )

    @property
    def planes(self):
        """The number of planes of samples: 1 where the samples of a pixel lie together."""
        return self.n_samples if self.planar == 2 else 1


def read_tiff_layout(file):
    """Return the tags of the first page of an open TIFF as a TiffLayout.

    Raises
    ------
    ValueError
        A tag that is needed is damaged or missing.
    """
    file.seek(0)
    header = file.read(8)
    if header[:4] == b"MM\0+":
        raise ValueError("it is a 64-bit TIFF (BigTIFF) in big-endian order, which is not read")
    if header[:4] == b"II+\0":
        header += file.read(8)
    tags = TiffImagePlugin.ImageFileDirectory_v2(header)
    if tags.next + 2 > file.seek(0, 2):
        raise ValueError("it is a TIFF that ends too early: its directory is missing")
    file.seek(tags.next)
    tags.load(file)

    def whole_numbers(tag, default):
        """Return all values of a tag as a tuple."""
        try:
            values = tags.get(tag, default)
        except Exception as error:  # a value of another type than the tag's
            raise ValueError(f"its tag {tag} is damaged") from error
        values = values if isinstance(values, tuple | list) else (values,)
        if not all(isinstance(value, int) and value >= 0 for value in values):
            raise ValueError(f"its tag {tag} holds what is no whole number")
        return tuple(values)

    def first_number(tag, default):
        """Return the first value of a tag."""
        values = whole_numbers(tag, default)
        return values[0] if values else default

    width, height = first_number(256, 0), first_number(257, 0)
    if not width or not height:
        raise ValueError("it is a TIFF without an image")
    compression = first_number(259, 1)
    photometric = first_number(262, 0)
    colours = 3 if compression in (6, 7) and photometric in (2, 6) else 1
    n_samples = first_number(277, colours)
    if not 1 <= n_samples <= 2**16:
        raise ValueError(f"it claims {n_samples} samples a pixel")
    tiled = 322 in tags
    if tiled:
        block = first_number(323, 0), first_number(322, 0)
    else:
        block = min(first_number(278, height), height), width
    if not block[0] or not block[1]:
        raise ValueError("its strips or tiles have no size")
    return TiffLayout(
        order="<" if header[:1] == b"I" else ">",
        width=width,
        height=height,
        n_samples=n_samples,
        bits=_tiff_tag_for_each_sample(whole_numbers(258, 1), n_samples),
        formats=_tiff_tag_for_each_sample(whole_numbers(339, 1), n_samples),
        photometric=photometric,
        compression=compression,
        predictor=first_number(317, 1),
        fill_order=first_number(266, 1),
        planar=first_number(284, 1),
        extra=whole_numbers(338, ()),
        orientation=first_number(274, 1),
        colormap=whole_numbers(320, ()),
        tiled=tiled,
        block=block,
        offsets=whole_numbers(324 if tiled else 273, ()),
        counts=whole_numbers(325 if tiled else 279, ()),
        has_several_pages=bool(tags.next),
    )


def _tiff_tag_for_each_sample(values, n_samples):
    """Return one value for each sample, where a single value may stand for all samples."""
    return values * n_samples if len(values) == 1 else values[:n_samples]


def tiff_ends_too_early(layout, n_bytes):
    """Whether strips or tiles lie beyond the end of a TIFF of ``n_bytes`` bytes."""
    counts = layout.counts or (1,) * len(layout.offsets)
    return any(o + c > n_bytes for o, c in zip(layout.offsets, counts, strict=False))


def decode_tiff(file, layout):
    """Return the pixels of the first page of an open TIFF, and what is black and white.

    Parameters
    ----------
    file : file object
    layout : TiffLayout

    Returns
    -------
    pixels : ndarray of shape (height, width) or (height, width, 3)
    limits : tuple of (float, float) or None
        The values that are black and white; None where the file does not say.
    """
    check_tiff_layout(layout)
    samples = tiff_samples.read_tiff_samples(file, layout)
    colours, extra = np.split(samples, [_COLOURS[layout.photometric]], axis=2)
    limits = _range_in_tiff_layout(colours, layout)
    if extra.shape[2] and layout.extra[:1] == (1,):
        colours, limits = _tiff_colours_without_alpha(colours, extra[..., :1], layout), (0.0, 1.0)
    if layout.photometric == 0:
        low, high = limits or pixel_ranges.range_of_file(colours)
        colours, limits = high - colours.astype(np.float64) + low, (low, high)
    elif layout.photometric == 3:
        colours, limits = _rgb_of_tiff_palette(colours, layout)
    elif layout.photometric == 5:
        colours, limits = _rgb_of_tiff_cmyk(colours, layout)
    return (colours[..., 0] if colours.shape[2] == 1 else colours), limits


def check_tiff_layout(layout):
    """Raise for a layout that :func:`decode_tiff` does not decode."""
    bits, kind = layout.bits[0], layout.formats[0]
    if layout.photometric not in _COLOURS:
        name = _NAMES.get(layout.photometric, f"photometric interpretation {layout.photometric}")
        found = f"{name} in {_describe_tiff_layout(layout)}"
        raise ValueError(f"it is a TIFF of {found}, which is not read")
    if layout.compression not in tiff_samples.BYTEWISE:
        name = TiffImagePlugin.COMPRESSION_INFO.get(layout.compression, "unknown")
        raise ValueError(
            f"it is a TIFF of {_describe_tiff_layout(layout)} in compression {layout.compression} "
            f"({name.removeprefix('tiff_')}), which is not read"
        )
    allowed = {1: {*range(1, 17), 32, 64}, 2: {8, 16, 32, 64}, 3: {16, 32, 64}}
    if (
        len(set(layout.bits)) > 1
        or len(set(layout.formats)) > 1
        or bits not in allowed.get(1 if kind == 4 else kind, ())
        or len(layout.bits) != layout.n_samples
        or len(layout.formats) != layout.n_samples
    ):
        raise ValueError(f"it is a TIFF of {_describe_tiff_layout(layout)}, which is not read")
    n_colours = _COLOURS[layout.photometric]
    n_extra = layout.n_samples - n_colours
    if n_extra < 0 or layout.n_samples > _MOST_SAMPLES or (n_extra > 1 and n_colours == 1):
        raise ValueError(
            f"it is a TIFF of {layout.n_samples} samples a pixel, where grey has 1, RGB 3 and CMYK "
            "4, and what the others are is not said"
        )
    if layout.extra and len(layout.extra) != n_extra:
        raise ValueError(
            f"it is a TIFF that declares {len(layout.extra)} extra samples and has {n_extra}"
        )
    if layout.predictor != 1 and (
        layout.compression not in _PREDICTED
        or layout.predictor not in (2, 3)
        or (layout.predictor == 3 and kind != 3)
    ):
        raise ValueError(
            f"it is a TIFF with predictor {layout.predictor} for {_describe_tiff_layout(layout)} "
            f"in compression {layout.compression}, which go not together"
        )
    if layout.photometric == 3 and (kind != 1 or bits > 16 or len(layout.colormap) != 3 * 2**bits):
        raise ValueError(
            f"it is a TIFF of a palette that does not fit {_describe_tiff_layout(layout)}"
        )
    if layout.fill_order not in (1, 2):
        raise ValueError(f"it is a TIFF of fill order {layout.fill_order}, which does not exist")


def _describe_tiff_layout(layout):
    """Say the bits and the type of a layout's samples, for messages."""
    names = {1: "unsigned", 2: "signed", 3: "float", 4: "unsigned", 5: "complex", 6: "complex"}
    bits = " + ".join(map(str, dict.fromkeys(layout.bits)))
    kinds = " + ".join(names.get(kind, "unknown") for kind in dict.fromkeys(layout.formats))
    return f"{bits}-bit {kinds} samples"


def _range_in_tiff_layout(samples, layout):
    """Return black and white where the number of bits says them, and None elsewhere."""
    bits = layout.bits[0]
    if layout.formats[0] not in (1, 4) or bits >= 16:
        return None
    # Less than a sixteenth of what the bits can hold would be a black image.
    if bits > 8 and samples.max() < 2 ** (bits - 4):
        return None
    return 0.0, 2.0**bits - 1


def _tiff_colours_without_alpha(colours, alpha, layout):
    """Divide colours by the alpha that they were multiplied by; return them in 0..1."""
    if layout.photometric not in (1, 2) or layout.formats[0] == 2:
        raise ValueError("it is a TIFF of such samples that were multiplied by an alpha")
    if (colours > alpha).any():
        raise ValueError("its colours are above the alpha that they were multiplied by")
    alpha = alpha.astype(np.float64)
    return np.divide(colours, alpha, out=np.zeros(colours.shape), where=alpha > 0)


def _rgb_of_tiff_palette(index, layout):
    """Look pixels up in the palette, which may hold 8 bits in 16; return RGB and its limits."""
    palette = np.array(layout.colormap, np.uint16).reshape(3, -1).T
    return palette[index[..., 0]], (0.0, 255.0 if palette.max() < 256 else 65535.0)


def _rgb_of_tiff_cmyk(inks, layout):
    """Mix CMYK inks to RGB in 0..1, as Pillow does; return RGB and its limits."""
    bits = layout.bits[0]
    if layout.formats[0] not in (1, 4):
        raise ValueError(
            f"it is a TIFF of CMYK in {_describe_tiff_layout(layout)}, which is not read"
        )
    if bits > 8 and 0 < inks.max() < 2 ** (bits - 4):
        raise ValueError(f"it is a TIFF of CMYK in {bits} bits of which it uses few")
    light = 1 - inks / (2.0**bits - 1)
    return light[..., :3] * light[..., 3:], (0.0, 1.0)
