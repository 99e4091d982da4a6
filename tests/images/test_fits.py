"""FITS files are read on their own scale; what is no image says why."""

import numpy as np
import pytest

from lungestimators import ImageReadError

from .image_files import read_quietly


def fits_file(pixels, **cards):
    """The bytes of a FITS file by its standard; its first row is the lowest."""
    bits = 8 * pixels.dtype.itemsize * (-1 if pixels.dtype.kind == "f" else 1)
    cards = (
        {"SIMPLE": "T", "BITPIX": bits, "NAXIS": pixels.ndim}
        | {f"NAXIS{number + 1}": side for number, side in enumerate(pixels.shape[::-1])}
        | cards
    )
    header = "".join(f"{name:8}= {value!s:>20} / said".ljust(80) for name, value in cards.items())
    header += "END"
    content = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    header = header.ljust(-(-len(header) // 2880) * 2880).encode()
    return header + content.ljust(-(-len(content) // 2880) * 2880, b"\0")


@pytest.mark.parametrize(
    ("dtype", "cards", "scale", "zero"),
    [
        ("u1", {}, 1, 0),
        ("u1", {"BZERO": -128}, 1, -128),
        ("i2", {}, 1, 0),
        ("i2", {"BZERO": 32768}, 1, 32768),
        ("i2", {"BZERO": "3.2768E+04", "BSCALE": "1.0"}, 1, 32768),
        ("i2", {"BSCALE": -0.5, "BZERO": "1.25D+01"}, -0.5, 12.5),
        ("i4", {"BZERO": 2147483648}, 1, 2**31),
        ("i4", {"BSCALE": 1e-3}, 1e-3, 0),
        ("i8", {}, 1, 0),
        ("f4", {"BSCALE": -2.0}, -2, 0),
        ("f8", {"BZERO": 7}, 1, 7),
    ],
)
def test_fits_is_read_on_its_own_scale(tmp_path, dtype, cards, scale, zero):
    rng = np.random.default_rng(0)
    pixels = (
        rng.integers(-100, 100, (6, 9)) * 300 if dtype[0] == "i" else rng.integers(0, 200, (6, 9))
    )
    (tmp_path / "a.fits").write_bytes(fits_file(pixels.astype(dtype), **cards))
    shown = zero + scale * pixels[::-1].astype(float)
    low, high = shown.min(), shown.max()
    if dtype == "u1" and not cards:
        low, high = 0, 255
    elif cards.get("BZERO") in (32768, "3.2768E+04"):
        low, high = 0, 65535
    elif low >= 0 and high <= 255:
        low, high = 0, 255
    np.testing.assert_allclose(
        read_quietly(tmp_path / "a.fits")[..., 0], (shown - low) / (high - low), atol=1e-6
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (fits_file(np.ones((4, 4), "i2"), BLANK=1), "blank"),
        (fits_file(np.full((4, 4), np.nan, "f4")), "NaN"),
        (fits_file(np.ones((80, 80), "f8"))[:-2880], "ends too early"),
        (fits_file(np.ones((4, 4), "u1"))[:800], "ends too early"),
        (fits_file(np.ones((3, 4, 4), "u1")), "an image has two"),
        (fits_file(np.full((4, 4), 2**60, "i8")), r"beyond 2\*\*53"),
        (fits_file(np.ones((4, 4), "u1"), BSCALE=0), "BSCALE = 0"),
        (fits_file(np.ones((4, 4), "u1"), BITPIX=12), "BITPIX = 12"),
        (fits_file(np.ones((4, 4), "u1"), NAXIS1=10**6, NAXIS2=10**6), "MAX_IMAGE_PIXELS"),
    ],
)
def test_fits_that_is_no_image_says_why(tmp_path, content, reason):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ImageReadError, match=reason):
        read_quietly(tmp_path / "a")
