"""What single formats say about their pixels, read as they say it; what is not read says so."""

import io
import os
import struct
import sys
import warnings

import numpy as np
import pytest
from openjpeg.utils import encode_array
from PIL import Image

from lungestimators import ImageReadError
from lungestimators.images import file_checks, pillow, prepared, reading

from .image_files import GRADIENT
from .tiff_writer import tiff


def read(path, channels=1):
    """Check and read a file as a classifier does, without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file_checks.check_files([str(path)])
        return reading.read_image(str(path), channels)


def test_the_made_files_show_what_is_expected_of_them(real_data):
    folder = real_data / "odd-images" / "made"
    expected = np.load(folder / "expected.npz")
    paths = [path for path in sorted(folder.iterdir()) if path.suffix in (".tif", ".jpg")]
    assert len(paths) == 3
    for path in paths:
        tolerance = 0.01 if path.suffix == ".jpg" else 2e-5
        np.testing.assert_allclose(
            read(path)[..., 0], expected[path.name], atol=tolerance, err_msg=path.name
        )


# EXIF


def exif(orientation, damaged):
    """EXIF with an orientation and, where it shall be damaged, a resolution that is text."""
    entries = [struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)]
    if damaged:
        entries.append(struct.pack("<HHI4s", 0x011A, 2, 4, b"300\0"))
        entries.append(struct.pack("<HHI4s", 0x0131, 5, 1, b"\xff\xff\xff\x7f"))
    return (
        b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    )


AS_SHOWN = {
    1: lambda image: image,
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(image, 2).T,
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", AS_SHOWN)
@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_an_image_is_turned_though_other_tags_are_damaged(tmp_path, orientation, damaged, name):
    image = Image.fromarray(GRADIENT).convert("RGB")
    image.save(tmp_path / name, exif=exif(orientation, damaged), quality=95)
    np.testing.assert_allclose(
        read(tmp_path / name)[..., 0], AS_SHOWN[orientation](GRADIENT) / 255, atol=0.05
    )


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(tmp_path, value):
    Image.fromarray(GRADIENT).save(tmp_path / "a.jpg", exif=exif(value, False))
    np.testing.assert_allclose(read(tmp_path / "a.jpg")[..., 0], GRADIENT / 255, atol=0.05)


# FITS


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
        read(tmp_path / "a.fits")[..., 0], (shown - low) / (high - low), atol=1e-6
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
        read(tmp_path / "a")


# JPEG 2000


@pytest.mark.parametrize("container", [0, 1])
@pytest.mark.parametrize("bits", [4, 7, 8, 9, 10, 12, 15, 16])
@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("signed", [False, True])
def test_jpeg_2000_is_read_at_any_depth(tmp_path, container, bits, n_channels, signed):
    shape = (64, 80, 3)[: 3 if n_channels == 3 else 2]
    pixels = np.random.default_rng(0).integers(0, 2**bits, shape)
    stored = pixels - 2 ** (bits - 1) if signed else pixels
    content = encode_array(
        stored.astype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}"),
        bits_stored=bits,
        photometric_interpretation=1 if n_channels == 3 else 2,
        use_mct=False,
        codec_format=container,
    )
    (tmp_path / "a.jp2").write_bytes(content)
    found = read(tmp_path / "a.jp2", n_channels)
    np.testing.assert_allclose(found.reshape(shape), pixels / (2**bits - 1), atol=2e-6)


def test_deep_colours_of_jpeg_2000_say_which_package_reads_them(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openjpeg", None)
    pixels = np.full((64, 64, 3), 4095, np.uint16)
    path = tmp_path / "a.jp2"
    path.write_bytes(encode_array(pixels, bits_stored=12, photometric_interpretation=1))
    with pytest.raises(ImageReadError, match=r"a\.jp2.*12 bits.*pip install"):
        read(path, 3)


# Few bits in many


@pytest.mark.parametrize("white", [255, 4095, 65535])
@pytest.mark.parametrize("n_samples", [1, 2, 3, 4])
def test_colours_of_few_bits_in_16_are_stretched_as_grey_is(tmp_path, white, n_samples):
    n_colours = 1 if n_samples < 3 else 3
    samples = np.random.default_rng(0).integers(0, white, (6, 9, n_samples), endpoint=True)
    samples[0, 0] = white
    samples[..., n_colours:] = 65535  # alpha has nothing to do with it
    content = tiff(
        samples.astype(np.uint64),
        bits=16,
        photometric=1 if n_colours == 1 else 2,
        extra=(2,) * (n_samples - n_colours),
    )
    (tmp_path / "a.tif").write_bytes(content)
    context = (
        warnings.catch_warnings() if white == 65535 else pytest.warns(UserWarning, match="or less")
    )
    with context:
        found = reading.read_image(str(tmp_path / "a.tif"), 3)
    shown = np.broadcast_to(samples[..., :n_colours] / white, (6, 9, 3))
    np.testing.assert_allclose(found, shown, atol=2e-6)


# What it is, where it is not read


def jpeg_frame(marker, bits):
    """The start of a JPEG, up to its frame."""
    table = b"\xff\xdb" + struct.pack(">H", 67) + b"\0" + bytes([1] * 64)
    frame = struct.pack(">BBHBHHB", 0xFF, marker, 11, bits, 8, 8, 1) + b"\1\x11\0"
    return b"\xff\xd8" + table + frame + b"\xff\xda\0\x08\1\1\0\0?\0" + bytes(40) + b"\xff\xd9"


GREY = np.arange(300, dtype=np.uint64).reshape(15, 20, 1)


UNREAD = {
    "extended JPEG": (jpeg_frame(0xC1, 12), r"JPEG \(extended, 12 bits"),
    "lossless JPEG": (jpeg_frame(0xC3, 16), r"JPEG \(lossless, 16 bits"),
    "JPEG-LS": (jpeg_frame(0xF7, 12), "JPEG-LS of 12 bits"),
    "JPEG XL": (b"\xff\x0a" + bytes(200), "JPEG XL"),
    "HEIF": (b"\0\0\0\x18ftypheic" + bytes(200), r"HEIF or AVIF \(heic\)"),
    "NIfTI": (bytes(344) + b"n+1\0" + bytes(100), "NIfTI"),
    "gzip": (b"\x1f\x8b\x08" + bytes(200), "gzip"),
    "PDF": (b"%PDF-1.7" + bytes(200), "PDF"),
    "NumPy": (b"\x93NUMPY" + bytes(200), "NumPy"),
    "64-bit TIFF": (b"MM\0+\0\x08\0\0" + bytes(200), "64-bit TIFF"),
    "cut TIFF": (tiff(GREY, bits=16, photometric=1)[:40], "without an image|ends too early"),
    "YCbCr": (tiff(np.zeros((4, 4, 3), np.uint64), bits=16, photometric=6), "YCbCr"),
    "Lab": (tiff(np.zeros((4, 4, 3), np.uint64), bits=16, photometric=8), r"L\*a\*b"),
    "channels": (
        tiff(np.zeros((4, 4, 5), np.uint64), bits=16, photometric=1),
        "5 samples a pixel",
    ),
    "24 bits": (tiff(GREY, bits=24, photometric=1), "24-bit unsigned samples"),
    "predictor": (tiff(GREY, bits=16, photometric=1, predictor=2), "predictor 2"),
}


@pytest.mark.parametrize("kind", UNREAD)
def test_a_file_that_is_not_read_says_what_it_is(tmp_path, kind):
    content, reason = UNREAD[kind]
    path = tmp_path / "a"
    path.write_bytes(content)
    for function in (file_checks.check_files, lambda paths: reading.read_image(paths[0], 3)):
        with pytest.raises(ImageReadError, match=f"a' cannot be read: .*({reason})"):
            function([str(path)])
    assert list(file_checks.unreadable_files([str(path)])) == [str(path)]


def test_inks_of_few_bits_in_16_are_refused(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(tiff(np.full((4, 4, 4), 9, np.uint64), bits=16, photometric=5))
    with pytest.raises(ImageReadError, match="CMYK in 16 bits of which it uses few"):
        read(path, 3)


def test_a_tiff_whose_strips_are_cut_off_says_so(tmp_path):
    content = tiff(GREY, bits=16, photometric=1, rows=1)
    lengths = struct.pack("<15I", *[40] * 15)
    assert lengths in content
    (tmp_path / "a").write_bytes(content.replace(lengths, struct.pack("<15I", *[40] * 14, 20)))
    with pytest.raises(ImageReadError, match="ends too early"):
        reading.read_image(str(tmp_path / "a"), 1)


# Modes of Pillow that few files have


@pytest.mark.parametrize(
    "mode", ["RGBX", "YCbCr", "HSV", "CMYK", "La", "RGBa", "PA", "I", "F", "I;16", "I;16L", "I;16B"]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_of_pillow_becomes_grey_or_rgb(mode, channels):
    grey = GRADIENT // 16 * 17
    image = Image.fromarray(grey)
    if mode.startswith("I;16"):
        stored = (grey * np.uint16(257)).astype(">u2" if mode == "I;16B" else "<u2")
        image = Image.frombytes(mode, image.size, stored.tobytes())
    elif mode in ("La", "RGBa"):
        image = image.convert(mode[:-1] + "A").convert(mode)
    elif mode == "PA":
        image = image.convert("P").convert("PA")
    else:
        image = image if mode in "IF" else image.convert("RGB")
        image = image.convert(mode)
    pixels, _ = pillow.decode_with_pillow(image, channels)
    white = 65535 if pixels.dtype == np.uint16 else 255
    shown = pixels.reshape(*grey.shape, -1) / white
    np.testing.assert_allclose(
        shown, np.broadcast_to(grey[..., None] / 255, shown.shape), atol=0.01
    )


# Found before any work


def png_with_damage():
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)).save(
        buffer, "PNG"
    )
    content = bytearray(buffer.getvalue())
    content[2000] ^= 255
    return bytes(content)


def cut(suffix, **options):
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    Image.fromarray(noise).convert(options.pop("mode", "L")).save(buffer, suffix, **options)
    return buffer.getvalue()[: buffer.tell() // 2]


DAMAGED = {
    "damaged.png": png_with_damage(),
    "cut.jpg": cut("JPEG"),
    "cut.png": cut("PNG"),
    "cut.gif": cut("GIF"),
    "cut.webp": cut("WEBP", lossless=True, mode="RGB"),
    "cut.bmp": cut("BMP"),
    "cut.jp2": cut("JPEG2000"),
    "cut.pgm": cut("PPM"),
}


def tiff_with_the_directory_first():
    """An uncompressed TIFF whose pixels come last, cut off in their middle."""
    tags = [(256, 20), (257, 20), (258, 8), (259, 1), (262, 1), (273, 200), (277, 1), (278, 20)]
    tags.append((279, 400))
    content = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags))
    content += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return content.ljust(200, b"\0") + bytes(200)


DAMAGED["cut.tif"] = tiff_with_the_directory_first()


def test_a_compression_that_pillow_may_lack_is_named(tmp_path):
    content = tiff_with_the_directory_first() + bytes(200)
    plain = struct.pack("<HHII", 259, 4, 1, 1)
    assert plain in content
    content = content.replace(plain, struct.pack("<HHII", 259, 4, 1, 50001))
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(
        ImageReadError, match="compressed by WebP: they are damaged, or this Pillow"
    ):
        read(tmp_path / "a.tif")


def test_damaged_files_are_named_before_any_is_decoded_for_a_prediction(tmp_path, cnn, monkeypatch):
    paths = []
    for number in range(6):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(GRADIENT).save(paths[-1])
    cnn.fit(paths, [0, 1] * 3)
    for name, content in DAMAGED.items():
        (tmp_path / name).write_bytes(content)
    damaged = [str(tmp_path / name) for name in DAMAGED]
    decoded = []
    monkeypatch.setattr(prepared, "read_unscaled", lambda *arguments: decoded.append(arguments))
    with pytest.raises(ImageReadError, match="Leave these files out") as error:
        cnn.predict(paths + damaged)
    assert list(error.value.reasons) == damaged
    assert not decoded


def test_after_damage_that_only_decoding_shows_a_second_call_goes_on(tmp_path, cnn, monkeypatch):
    paths = [str(tmp_path / f"{number}.tif") for number in range(120)]
    rng = np.random.default_rng(0)
    for path in paths:
        noise = rng.integers(0, 255, (20, 20)).astype(np.uint8)
        Image.fromarray(noise).save(path, compression="tiff_adobe_deflate")
        os.utime(path, (1, 1))
    content = bytearray((tmp_path / "110.tif").read_bytes())
    content[40:300] = bytes(260)
    (tmp_path / "110.tif").write_bytes(content)
    cnn.set_params(trainable="head", epochs=1).fit(paths[:4], [0, 1, 0, 1])
    decoded, decode = [], prepared.read_unscaled
    monkeypatch.setattr(
        prepared,
        "read_unscaled",
        lambda path, channels: decoded.append(path) or decode(path, channels),
    )
    with pytest.raises(ImageReadError, match=r"110\.tif.*Features computed so far are kept"):
        cnn.predict(paths)
    decoded.clear()
    cnn.predict([path for path in paths if path != paths[110]])
    assert len(decoded) < 60
