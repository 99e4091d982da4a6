"""Decode PNG, JPEG 2000, PPM, SGI and others by Pillow: at full depth, turned as EXIF says."""

import io
import re

import numpy as np
from PIL import Image, ImageCms

# Formats that Pillow opens without decoding them, or hands to another program.
NO_IMAGES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}

# Of 16-bit colours in PNG, Pillow keeps the first byte of each sample. A file is therefore decoded
# twice: Pillow's raw mode -> the raw modes that yield the first bytes and the second bytes.
_BOTH_BYTES = {
    "RGB;16B": ("RGB;16B", "RGB;16L"),
    "RGBA;16B": ("RGBA;16B", "RGBA;16L"),
}
_GREY_AND_ALPHA = "LA;16B"

_ORIENTATION = 0x0112
_SYCC = 18  # luminance and differences of colours, in JPEG 2000

# How whole files of these formats end.
_ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "JPEG2000": b"\xff\xd9", "GIF": b";"}


def check_opened_by_pillow(image):
    """Raise for an opened image of a format without a decoder, or of too many pixels."""
    if image.format in NO_IMAGES:
        raise ValueError(f"it is {image.format}, which Pillow does not decode by itself")
    check_pillow_limit(*image.size)


def check_pillow_limit(width, height):
    """Raise for more pixels than ``PIL.Image.MAX_IMAGE_PIXELS``."""
    n_pixels = width * height
    if Image.MAX_IMAGE_PIXELS and n_pixels > Image.MAX_IMAGE_PIXELS:
        raise ValueError(
            f"it claims {n_pixels} pixels, above PIL.Image.MAX_IMAGE_PIXELS = "
            f"{Image.MAX_IMAGE_PIXELS}"
        )


def seems_whole_to_pillow(image, n_bytes):
    """Whether an opened image file seems to be complete, without decoding it.

    Parameters
    ----------
    image : PIL.Image.Image
        It cannot be decoded afterwards.
    n_bytes : int
        The size of the file.

    Returns
    -------
    bool
    """
    file, image_format = image.fp, image.format
    try:
        if image_format == "PNG":
            image.verify()  # the check sums of its chunks
            return True
        if image_format in ("WEBP", "BMP"):
            file.seek(0)
            start = file.read(8)
            riff = image_format == "WEBP"
            declared = int.from_bytes(start[4:] if riff else start[2:6], "little") + 8 * riff
            return 8 < declared <= n_bytes
        if image_format == "PPM":
            width, height = image.size
            decoder, _, offset, arguments = image.tile[0]
            if decoder == "ppm_plain":
                return False
            bits = {"1": 1, "F": 32}.get(image.mode, 16 if image.mode == "I" else 8)
            if decoder == "ppm" and arguments[1] > 255:
                bits = 16
            row = -(-width * len(image.getbands()) * bits // 8)
            return offset + height * row <= n_bytes
        end = _ENDS.get(image_format, b"")
        file.seek(-len(end), 2)
        return file.read() == end
    except Exception:  # decoding will say what is wrong
        return False


def decode_with_pillow(image, channels):
    """Return the pixels of an opened image, and the values that are black and white.

    Parameters
    ----------
    image : PIL.Image.Image
    channels : {1, 3}
        Grey or RGB is wanted; images of more than 8 bits are returned as they are.

    Returns
    -------
    pixels : ndarray of shape (height, width) or (height, width, 3)
    limits : tuple of (float, float) or None
        The values that are black and white; None where the file does not say.
    """
    decode_deep = _DEEP_DECODERS.get(image.format)
    decoded = decode_deep and decode_deep(image)
    pixels, limits = decoded or _decode_as_pillow_does(image, channels)
    return turn_by_exif_orientation(pixels, _exif_orientation(image)), limits


def turn_by_exif_orientation(pixels, orientation):
    """Turn or mirror pixels by one of the eight orientations of EXIF."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _exif_orientation(image):
    """Return the orientation that EXIF says, although other tags may be damaged."""
    if image.format == "TIFF":  # Pillow has turned it
        return 1
    try:
        return image.getexif().get(_ORIENTATION)
    except Exception:  # nothing in this EXIF can be read
        return 1


def _decode_as_pillow_does(image, channels):
    """Decode an image that Pillow reads without loss: 8 bits a sample, or grey of more bits."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        pixels = np.asarray(image)
        return pixels.astype(pixels.dtype.newbyteorder("="), copy=False), None
    if image.mode == "LAB":
        srgb = ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(image, ImageCms.createProfile("LAB"), srgb, 0, "RGB")
    elif image.mode in ("La", "RGBa"):
        image = image.convert(image.mode[:-1] + "A")
    grey = channels == 1 or image.mode in ("1", "L", "LA")
    return np.asarray(image.convert("L" if grey else "RGB")), (0.0, 255.0)


def _decode_png_in_raw_mode(image, raw_mode):
    """Decode a PNG in another raw mode of Pillow; the image itself stays as it was."""
    file = image.fp
    file.seek(0)
    again = Image.open(file)
    again.tile = [(*again.tile[0][:3], raw_mode)]
    return np.asarray(again)


def _decode_deep_png(image):
    """Decode a PNG of 16 bits in colour, or grey with alpha; return None for other PNG."""
    raw_mode = image.tile[0][3] if image.tile else None
    if raw_mode == _GREY_AND_ALPHA:  # four bytes a pixel, as those of RGBA
        four = _decode_png_in_raw_mode(image, "RGBA").astype(np.uint16)
        pixels = four[..., 0] << 8 | four[..., 1]
    elif raw_mode in _BOTH_BYTES:
        first, second = (
            _decode_png_in_raw_mode(image, raw)[..., :3] for raw in _BOTH_BYTES[raw_mode]
        )
        pixels = first.astype(np.uint16) << 8 | second
    else:
        return None
    image.load()  # EXIF may come after the pixels
    return pixels, None


def _decode_deep_ppm(image):
    """Decode a PPM or PGM that declares another white than 255; return None for others."""
    decoder, _, offset, arguments = image.tile[0]
    if decoder not in ("raw", "ppm", "ppm_plain") or image.mode not in ("L", "I", "RGB"):
        return None
    white = 65535 if arguments == "I;16B" else arguments[1] if len(arguments) == 2 else 255
    if white == 255 or isinstance(white, str):
        return None
    width, height = image.size
    n_samples = width * height * len(image.getbands())
    image.fp.seek(offset)
    if decoder == "ppm_plain":
        words = re.sub(rb"#[^\r\n]*", b"", image.fp.read()).split()[:n_samples]
        if not all(word.isdigit() and len(word) <= 10 for word in words):
            raise ValueError("it holds pixels that are no whole numbers")
        pixels = np.array([int(word) for word in words], np.int64)
    else:
        dtype = np.dtype("u1" if white < 256 else ">u2")
        pixels = np.frombuffer(image.fp.read(n_samples * dtype.itemsize), dtype)
    if pixels.size < n_samples:
        raise ValueError("it ends too early: pixels are missing")
    if pixels.min() < 0 or pixels.max() > white:
        raise ValueError(f"it declares {white} as white and holds {pixels.max()}")
    pixels = pixels.astype(np.uint8 if white < 256 else np.uint16)
    pixels = pixels.reshape(height, width, -1)
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels, (0.0, float(white))


def _decode_deep_jpeg2000(image):
    """Decode a JPEG 2000 of fewer or more than 8 bits a sample; return None for 8 bits.

    Pillow shifts samples of fewer bits to 8 or 16. Samples of more bits Pillow rounds, and some
    overflow.
    """
    bits = _depth_of_jpeg2000(image.fp)
    if bits is None or bits > 16 or (image.mode in ("P", "PA") and bits != 8):
        raise ValueError("it is JPEG 2000 whose components have unusual numbers of bits")
    if bits == 8:
        return None
    if image.mode == "I;16":
        pixels = np.asarray(image) >> (16 - bits)
    elif bits < 8 and image.mode in ("L", "LA", "RGB", "RGBA"):
        pixels = np.asarray(image.convert("L" if image.mode in ("L", "LA") else "RGB"))
        pixels = pixels >> (8 - bits)
    else:
        pixels = _decode_deep_jpeg2000_by_openjpeg(image, bits)
    # Less than a sixteenth of what many bits can hold would be a black image.
    declared = bits <= 8 or (bits < 16 and pixels.max() >= 2 ** (bits - 4))
    return pixels, (0.0, 2.0**bits - 1) if declared else None


def _decode_deep_jpeg2000_by_openjpeg(image, bits):
    """Decode a JPEG 2000 in colours of more than 8 bits by pylibjpeg-openjpeg."""
    found = f"it is JPEG 2000 with colours of {bits} bits"
    image.fp.seek(0)
    content = image.fp.read()
    colours = content[: 2**16].partition(b"colr")[2]
    if image.mode == "CMYK" or (colours[:1] == b"\x01" and int.from_bytes(colours[3:7]) == _SYCC):
        raise ValueError(f"{found} that are no RGB, which is not read")
    try:
        import openjpeg
    except ImportError as error:
        raise ValueError(
            f"{found}, which needs pylibjpeg-openjpeg: pip install 'lungestimators[dicom]'"
        ) from error
    pixels = openjpeg.decode(io.BytesIO(content))
    if pixels.shape[:2] != image.size[::-1]:
        raise ValueError(f"{found} and of a size that its header does not say")
    if pixels.dtype.kind == "i":
        pixels = pixels.astype(np.int32) + 2 ** (bits - 1)
    pixels = pixels.reshape(*pixels.shape[:2], -1).astype(np.uint16)
    return pixels[..., 0] if pixels.shape[2] < 3 else pixels[..., :3]


def _depth_of_jpeg2000(file):
    """Return the bits a sample of an open JPEG 2000 file, or None where the colours differ."""
    file.seek(0)
    start = file.read(2**16)
    size = start.find(b"\xff\x4f\xff\x51")
    n_components = int.from_bytes(start[size + 40 : size + 42])
    n_colours = 1 if n_components < 3 else 3  # the next one is alpha
    depths = {depth & 0x7F for depth in start[size + 42 : size + 42 + 3 * n_colours : 3]}
    return depths.pop() + 1 if size >= 0 and len(depths) == 1 else None


def _check_deep_sgi(image):
    """Raise for an SGI file of 16 bits of which Pillow, which keeps the upper 8, reads only black.

    Returns None: Pillow decodes SGI.
    """
    deep = image.tile[0][0] == "SGI16" or ";16" in str(image.tile[0][3])
    if deep and np.asarray(image).max() < 16:
        raise ValueError("it is SGI of 16 bits of which it uses few, and Pillow reads the upper 8")
    return None


# Functions that return the pixels and limits of an opened image, or None where Pillow decodes it
# without loss.
_DEEP_DECODERS = {
    "PNG": _decode_deep_png,
    "PPM": _decode_deep_ppm,
    "JPEG2000": _decode_deep_jpeg2000,
    "SGI": _check_deep_sgi,
}
