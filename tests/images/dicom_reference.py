"""What a DICOM file shows, worked out from its description by NumPy and the standard alone.

Nothing here is shared with the package, and no file is read: a description has the stored values.
"""

from dataclasses import dataclass, field, replace

import numpy as np


@dataclass
class Table:
    """A look-up table."""

    first: int
    entries: np.ndarray
    bits: int  # those that the descriptor says
    packed: bool = False  # two entries in a word

    @property
    def white(self):
        """Entries of 16 bits that leave bits unused are of fewer bits, but of 8 at least."""
        needed = int(self.entries.max()).bit_length()
        return 2.0 ** max(needed, min(self.bits, 8)) - 1

    def __call__(self, values):
        positions = (np.rint(values) - self.first).clip(0, len(self.entries) - 1)
        return self.entries[positions.astype(int)].astype(float)


@dataclass
class Transformations:
    """What one place of a file says of grey values; numbers are as they are written."""

    slope: str | None = None
    intercept: str | None = None
    modality: Table | None = None
    centers: list = field(default_factory=list)
    widths: list = field(default_factory=list)
    function: str | None = None
    interest: Table | None = None


@dataclass
class Description:
    """A DICOM file."""

    photometric: str
    values: np.ndarray  # (frames, rows, columns) or (frames, rows, columns, 3): as they are stored
    allocated: int
    stored: int
    high_bit: int
    signed: bool
    syntax: str
    depth: int | None = None  # of the encoded stream
    planar: int = 0
    garbage: int = 0  # bits that are not stored
    padding: int | None = None
    padding_limit: int | None = None
    places: tuple = ()  # of Transformations: of frame 0, of all frames, of the file
    palette: tuple = ()  # of three Tables
    as_words: bool = False  # pixels of 8 bits are written as OW


def number(text):
    """A number as DICOM writes it, or with a decimal comma; None where there is none."""
    return None if text in (None, "") else float(text.replace(",", "."))


def shown(description):
    """The first frame as it is shown, in 0..1: (rows, columns) or (rows, columns, 3)."""
    values = description.values[0].astype(float)
    bits = _bits(description, values)
    if description.photometric == "PALETTE COLOR":
        channels = [table(values) for table in description.palette]
        most = max(table.entries.max() for table in description.palette)
        declared = max(table.bits for table in description.palette)
        if most >= 2 ** (declared - 4):  # else the palette holds fewer bits than it says
            white = max(2.0**declared - 1, max(table.white for table in description.palette))
        else:
            white = max(table.white for table in description.palette)
        return np.stack(channels, axis=-1) / white
    if description.photometric.startswith("MONOCHROME"):
        return _grey(description, values, bits)
    white = 2.0**bits - 1
    rgb = _rgb(description.photometric, values, 2.0**bits)
    black = 0.0
    if bits > 8 and not _fills(rgb, 0, white) and np.ptp(rgb):
        black, white = rgb.min(), rgb.max()
    return (rgb - black) / (white - black)


def _bits(description, values):
    """An encoded stream has the bits that it says, unless BitsStored are enough for its values."""
    depth, stored = description.depth, description.stored
    if depth is None:
        return stored
    low = -(2 ** (stored - 1)) if description.signed else 0
    enough = depth >= stored and low <= values.min() and values.max() < low + 2**stored
    return stored if enough else depth


def _rgb(photometric, values, n_values):
    """PS3.3 C.7.6.3.1.2, the equations solved by hand for red, green and blue."""
    if photometric == "RGB":
        return values
    y, b, r = np.moveaxis(values, -1, 0)
    b, r = b - n_values / 2, r - n_values / 2
    if photometric == "YBR_PARTIAL_422":  # ITU-R BT.601: 16..235 and 16..240
        y = (y - n_values / 16) * 255 / 219
        b, r = b * 255 / 224, r * 255 / 224
    red = y + 1.402 * r
    blue = y + 1.772 * b
    green = (y - 0.299 * red - 0.114 * blue) / 0.587
    return np.stack([red, green, blue], axis=-1).clip(0, n_values - 1)


def _grey(description, values, bits):
    low = -(2.0 ** (bits - 1)) if description.signed else 0.0
    black, white = low, low + 2.0**bits - 1
    seen = np.ones(values.shape, bool)
    if description.padding is not None:
        ends = [n for n in (description.padding, description.padding_limit) if n is not None]
        seen = (values < min(ends)) | (values > max(ends))
    some = seen if seen.any() else np.ones(values.shape, bool)
    constant = np.ptp(values[some]) == 0
    for place in description.places:
        slope, intercept = number(place.slope), number(place.intercept)
        if place.modality:
            values, black, white = place.modality(values), 0.0, place.modality.white
            break
        if slope is not None or intercept is not None:
            slope = 1.0 if slope is None else slope
            intercept = 0.0 if intercept is None else intercept
            values = values * slope + intercept
            black, white = sorted([black * slope + intercept, white * slope + intercept])
            break
    for picture in _of_interest(description.places, values, signed=black < 0):
        if constant or _fills(picture[some], 0, 1):
            break
    else:
        if not _fills(values[some], black, white) and np.ptp(values[some]):
            black, white = values[some].min(), values[some].max()
        if white == black:  # a slope of zero
            return np.zeros(values.shape)
        picture = (values - black) / (white - black)
    if description.photometric == "MONOCHROME1":
        picture = 1 - picture
    return np.where(seen, picture, 0)


def _of_interest(places, values, signed):
    """All pictures that tables and windows make, in the order in which they count.

    The first value of a table is signed where its input may be negative (PS3.3 C.11.2.1.1), which a
    modality table's output never is.
    """
    for place in places:
        if place.interest:
            first = place.interest.first % 2**16
            first -= 2**16 * (signed and first >= 2**15)
            table = replace(place.interest, first=first)
            yield table(values) / table.white
        function = place.function or "LINEAR"
        windows = zip(map(number, place.centers), map(number, place.widths), strict=False)
        for center, width in windows:
            if center is None or width is None or width <= (function == "LINEAR"):
                continue
            if function == "SIGMOID":
                with np.errstate(over="ignore"):
                    yield 1 / (1 + np.exp(-4 * (values - center) / width))
            elif function == "LINEAR":
                yield ((values - (center - 0.5)) / (width - 1) + 0.5).clip(0, 1)
            else:
                yield ((values - center) / width + 0.5).clip(0, 1)


def _fills(pixels, black, white):
    """Whether all but a hundredth of the pixels fill a sixteenth of what there is."""
    low, high = np.quantile(pixels, [0.005, 0.995])
    return high - low >= (white - black) / 16
