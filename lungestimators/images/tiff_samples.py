"""Read the samples of a TIFF: Pillow decompresses its strips, NumPy turns bytes into samples.

Strips are given to Pillow as strips of a grey image of 8 bits, a pixel for each byte.
"""

import io
import struct

import numpy as np
from PIL import Image, TiffImagePlugin

# Compressions that decompress to plain bytes: number of the compression -> name in Pillow.
BYTEWISE = {
    number: TiffImagePlugin.COMPRESSION_INFO[number]
    for number in (1, 5, 8, 32773, 32946, 34925, 50000)
    if number in TiffImagePlugin.COMPRESSION_INFO
}

# How many times larger a file may become when it is decompressed.
_MOST_INFLATED = 5000

# Most pixels of all tiles together, which may lie beyond the image: (16 times the image's pixels,
# and 2**20 more).
_MOST_PADDED = (16, 2**20)

# Most bytes of all samples, for each of the pixels that PIL.Image.MAX_IMAGE_PIXELS allows: four
# samples of 16 bits, or one of 64.
_MOST_BYTES = 8

# The byte with the bits of the index in reverse order.
_REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)[:, ::-1], 1)


def read_tiff_samples(file, layout):
    """Return all samples of the first page of an open TIFF.

    Parameters
    ----------
    file : file object
    layout : tiff.TiffLayout

    Returns
    -------
    ndarray of shape (height, width, n_samples)
    """
    n_together = layout.n_samples // layout.planes
    height, width = layout.block
    down, across = -(-layout.height // height), -(-layout.width // width)
    share, more = _MOST_PADDED
    if down * height * across * width > share * layout.height * layout.width + more:
        raise ValueError("its tiles are much larger than the image")
    row_bytes = -(-width * n_together * layout.bits[0] // 8)
    n_rows = down * across * height if layout.tiled else layout.height
    n_bytes = layout.planes * n_rows * row_bytes
    if Image.MAX_IMAGE_PIXELS and n_bytes > _MOST_BYTES * Image.MAX_IMAGE_PIXELS:
        raise ValueError(
            f"it claims {n_bytes} bytes of samples, above {_MOST_BYTES} times "
            f"PIL.Image.MAX_IMAGE_PIXELS = {Image.MAX_IMAGE_PIXELS}"
        )
    planes = []
    for plane in range(layout.planes):
        blocks = range(plane * down * across, (plane + 1) * down * across)
        rows = _read_rows_of_samples(file, layout, blocks, n_rows, row_bytes)
        samples = _samples_of_rows(rows, width * n_together, n_together, layout)
        samples = samples.reshape(-1, height, width, n_together) if layout.tiled else samples
        if layout.tiled:
            samples = samples.reshape(down, across, height, width, n_together).swapaxes(1, 2)
        samples = samples.reshape(-1, across * width, n_together)
        planes.append(samples[: layout.height, : layout.width])
    return planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)


def _read_rows_of_samples(file, layout, blocks, n_rows, row_bytes):
    """Return the decompressed bytes of strips, or of tiles below each other.

    Returns
    -------
    ndarray of shape (n_rows, row_bytes), uint8
    """
    block_height = layout.block[0]
    sizes = [
        min(block_height, n_rows - number * block_height) * row_bytes
        for number in range(len(blocks))
    ]
    n_bytes = file.seek(0, 2)
    counts = layout.counts
    if not counts and layout.compression == 1:
        counts = tuple(sizes) * layout.planes
    if max(len(layout.offsets), 0) < blocks.stop or len(counts) < blocks.stop:
        raise ValueError("it ends too early: strips or tiles are missing")
    ends = [layout.offsets[block] + counts[block] for block in blocks]
    n_stored = sum(counts[block] for block in blocks)
    too_short = n_rows * row_bytes > _MOST_INFLATED * n_stored
    if layout.compression == 1:
        too_short = any(counts[b] < size for b, size in zip(blocks, sizes, strict=True))
    if max(ends) > n_bytes or too_short:
        raise ValueError("it ends too early: strips or tiles are cut off")
    if n_stored > n_bytes + sum(sizes):
        raise ValueError("its strips or tiles overlap")
    stored = []
    for block, size in zip(blocks, sizes, strict=True):
        file.seek(layout.offsets[block])
        stored.append(file.read(size if layout.compression == 1 else counts[block]))
    if layout.compression == 1:
        rows = np.frombuffer(b"".join(stored), np.uint8)
        return (_REVERSED[rows, 0] if layout.fill_order == 2 else rows).reshape(n_rows, row_bytes)
    if layout.fill_order == 2:
        stored = [_REVERSED[np.frombuffer(block, np.uint8), 0].tobytes() for block in stored]
    return _decompress_strips(stored, layout.compression, n_rows, row_bytes, block_height)


def _decompress_strips(stored, compression, n_rows, row_bytes, block_height):
    """Decompress strips by Pillow, as strips of a grey image of 8 bits, and return their rows."""
    lengths = [len(strip) for strip in stored]
    offsets = (8 + np.cumsum([0, *lengths[:-1]])).tolist()
    directory = 8 + sum(lengths)
    tags = [
        (256, [row_bytes]),
        (257, [n_rows]),
        (258, [8]),
        (259, [compression]),
        (262, [1]),
        (273, offsets),
        (277, [1]),
        (278, [block_height]),
        (279, lengths),
    ]
    entries, values = b"", b""
    start = directory + 2 + 12 * len(tags) + 4
    for tag, numbers in tags:
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        where = packed
        if len(numbers) > 1:
            where = struct.pack("<I", start + len(values))
            values += packed
        entries += struct.pack("<HHI", tag, 4, len(numbers)) + where
    content = b"".join(
        [b"II*\0", struct.pack("<I", directory), *stored, struct.pack("<H", len(tags)), entries]
    )
    content += bytes(4) + values
    with TiffImagePlugin.TiffImageFile(io.BytesIO(content)) as image:
        decoder, _, _, arguments = image.tile[0]
    # Image.open would refuse rows of many bytes, which would be rows of many pixels.
    try:
        image = Image.frombytes("L", (row_bytes, n_rows), content, decoder, arguments)
    except ValueError as error:
        name = BYTEWISE[compression].removeprefix("tiff_")
        raise ValueError(f"its strips or tiles are damaged, or end too early ({name})") from error
    return np.asarray(image)


def _samples_of_rows(rows, n_columns, n_together, layout):
    """Turn decompressed rows of bytes into samples, the predictor undone.

    Returns
    -------
    ndarray of shape (n_rows, n_columns)
    """
    bits = layout.bits[0]
    if layout.predictor == 3:
        rows = np.cumsum(rows.reshape(len(rows), -1, n_together), axis=1, dtype=np.uint8)
        rows = rows.reshape(len(rows), bits // 8, n_columns).swapaxes(1, 2)
        samples = np.ascontiguousarray(rows).view(f">u{bits // 8}")[..., 0]
    elif bits in (8, 16, 32, 64):
        samples = rows.view(f"{layout.order}u{bits // 8}")
    else:
        rows = np.unpackbits(rows, axis=1, count=n_columns * bits)
        rows = rows.reshape(len(rows), n_columns, bits)
        samples = np.zeros(rows.shape[:2], np.uint8 if bits < 8 else np.uint16)
        for bit in range(bits):
            samples = samples << 1 | rows[..., bit]
    samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    if layout.predictor == 2:
        samples = samples.reshape(len(samples), -1, n_together)
        samples = np.cumsum(samples, axis=1, dtype=samples.dtype).reshape(len(samples), -1)
        if bits not in (8, 16, 32, 64):
            samples &= (1 << bits) - 1
    kind = {2: "i", 3: "f"}.get(layout.formats[0], "u")
    samples = samples.view(f"{kind}{samples.itemsize}")
    return samples.astype(np.float32) if samples.dtype == np.float16 else samples
