"""TIFF, PNG and portable maps of any layout, written byte by byte: what tifffile does not write."""

import struct
import zlib

import numpy as np


def tiff(samples, *, bits, photometric, kind="u", extra=(), order="<", compression=1, **layout):
    """Return a TIFF as bytes.

    Parameters
    ----------
    samples : ndarray of shape (height, width, n_samples), uint64
        The bits of each sample; floats and signed numbers as their bits.
    bits, photometric, kind, extra, order, compression
        As the tags of TIFF have them; kind is one of "u", "i" and "f", or "?" without the tag.
    **layout
        ``planar`` (1, 2), ``predictor`` (1, 2, 3), ``fill_order`` (1, 2), ``rows`` of a strip,
        ``tile`` (height, width), ``orientation``, ``colormap``, ``big`` (64-bit offsets) and
        ``pages``.
    """
    height, width, n_samples = samples.shape
    planar, tile = layout.get("planar", 1), layout.get("tile")
    planes = [samples[..., i : i + 1] for i in range(n_samples)] if planar == 2 else [samples]
    blocks = []
    for plane in planes:
        if tile:
            down, across = -(-height // tile[0]), -(-width // tile[1])
            padded = np.zeros((down * tile[0], across * tile[1], plane.shape[2]), np.uint64)
            padded[:height, :width] = plane
            blocks += [
                padded[y * tile[0] : (y + 1) * tile[0], x * tile[1] : (x + 1) * tile[1]]
                for y in range(down)
                for x in range(across)
            ]
        else:
            rows = layout.get("rows", height)
            blocks += [plane[start : start + rows] for start in range(0, height, rows)]
    predictor = layout.get("predictor", 1)
    stored = []
    for block in blocks:
        lines = [_line(row, bits, order, predictor) for row in block]
        content = {
            1: b"".join,
            5: lambda lines: lzw(b"".join(lines)),
            8: lambda lines: zlib.compress(b"".join(lines)),
            32773: lambda lines: b"".join(map(packbits, lines)),
        }[compression](lines)
        if layout.get("fill_order", 1) == 2:
            content = content.translate(_MIRRORED)
        stored.append(content)
    tags = {
        256: (3, [width]),
        257: (3, [height]),
        258: (3, [bits] * n_samples),
        259: (3, [compression]),
        262: (3, [photometric]),
        277: (3, [n_samples]),
        284: (3, [planar]),
    }
    if kind != "?":
        tags[339] = (3, ["uif".index(kind) + 1] * n_samples)
    if extra:
        tags[338] = (3, list(extra))
    for name, tag in {"predictor": 317, "fill_order": 266, "orientation": 274}.items():
        if layout.get(name, 1) != 1:
            tags[tag] = (3, [layout[name]])
    if "colormap" in layout:
        tags[320] = (3, layout["colormap"])
    lengths = [len(block) for block in stored]
    if tile:
        tags |= {322: (3, [tile[1]]), 323: (3, [tile[0]]), 325: (4, lengths)}
    else:
        tags |= {278: (3, [layout.get("rows", height)]), 279: (4, lengths)}
    return _file(tags, 324 if tile else 273, stored, order, **layout)


def _file(tags, offsets_tag, stored, order, *, big=False, pages=1, **_):
    mark = b"II" if order == "<" else b"MM"
    word, head = ("Q", 16) if big else ("I", 8)
    positions = (head + np.cumsum([0, *map(len, stored[:-1])])).tolist()
    pixels = b"".join(stored)
    pixels += bytes(len(pixels) % 2)
    tags = {**tags, offsets_tag: (16 if big else 4, positions)}
    content = mark + struct.pack(order + "H", 43 if big else 42)
    content += struct.pack(order + "HH", 8, 0) if big else b""
    content += struct.pack(order + word, head + len(pixels)) + pixels
    for page in range(pages):
        if page:  # the next pages hold one white pixel
            tags |= {256: (3, [1]), 257: (3, [1])}
        start = len(content)
        entry, count = (20, "Q") if big else (12, "H")
        values = start + struct.calcsize(order + count) + entry * len(tags) + (8 if big else 4)
        table, outside = struct.pack(order + count, len(tags)), b""
        for tag, (kind, numbers) in sorted(tags.items()):
            packed = struct.pack(
                f"{order}{len(numbers)}{ {3: 'H', 4: 'I', 16: 'Q'}[kind] }", *numbers
            )
            table += struct.pack(order + "HH" + word, tag, kind, len(numbers))
            size = 8 if big else 4
            if len(packed) > size:
                table += struct.pack(order + word, values + len(outside))
                outside += packed + bytes(len(packed) % 2)
            else:
                table += packed.ljust(size, b"\0")
        following = values + len(outside) if page + 1 < pages else 0
        content += table + struct.pack(order + word, following) + outside
    return content


def _line(row, bits, order, predictor):
    """The bytes of one row of shape (width, n_samples)."""
    if predictor == 2:
        before = np.concatenate([np.zeros((1, row.shape[1]), np.uint64), row[:-1]])
        row = row - before & np.uint64(2**bits - 1)
    if bits in (8, 16, 32, 64):
        line = row.astype(f"{'>' if predictor == 3 else order}u{bits // 8}").tobytes()
    else:
        places = np.arange(bits - 1, -1, -1, dtype=np.uint64)
        line = np.packbits(
            (row.ravel()[:, None] >> places & np.uint64(1)).astype(np.uint8)
        ).tobytes()
    if predictor == 3:
        flat = np.frombuffer(line, np.uint8).reshape(-1, bits // 8).T.ravel()
        flat = flat.reshape(-1, row.shape[1])
        before = np.concatenate([np.zeros((1, row.shape[1]), np.uint8), flat[:-1]])
        line = (flat - before).tobytes()
    return line


_MIRRORED = bytes(int(f"{number:08b}"[::-1], 2) for number in range(256))


def packbits(line):
    """Compress one row by PackBits: a run where there is one of three or more, else literals."""
    out, position = b"", 0
    while position < len(line):
        run = 1
        while run < 128 and line[position : position + run + 1] == line[position : position + 1] * (
            run + 1
        ):
            run += 1
        if run >= 3:
            out += bytes([257 - run]) + line[position : position + 1]
            position += run
        else:
            literal = line[position : position + 100]
            out += bytes([len(literal) - 1]) + literal
            position += len(literal)
    return out


def lzw(content):
    """Compress as TIFF's LZW does."""
    codes, width, table, known = [], 9, {bytes([n]): n for n in range(256)}, b""
    n_codes = 258
    codes.append((256, 9))
    for number in content:
        longer = known + bytes([number])
        if longer in table:
            known = longer
            continue
        codes.append((table[known], width))
        table[longer], n_codes, known = n_codes, n_codes + 1, bytes([number])
        if n_codes == 4094:
            codes.append((256, width))
            table, n_codes, width = {bytes([n]): n for n in range(256)}, 258, 9
        elif n_codes == 2**width:
            width += 1
    if known:
        codes.append((table[known], width))
        n_codes += 1
        width += n_codes == 2**width
    codes.append((257, width))
    bits = "".join(f"{code:0{size}b}" for code, size in codes)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8)


def png(samples, *, bits, colour, filters, interlaced=False, palette=None, chunks=()):
    """Return a PNG as bytes.

    Parameters
    ----------
    samples : ndarray of shape (height, width, n_samples), integers
    bits, colour
        Of its header.
    filters : sequence of {0, 1, 2, 3, 4}
        Of the rows, in turn.
    chunks : sequence of (bytes, bytes)
        Names and contents of further chunks before the pixels.
    """
    height, width, n_samples = samples.shape
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)]
        passes += [(2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    distance = max(1, bits * n_samples // 8)
    content, number = b"", 0
    for y, x, down, across in passes:
        part = samples[y::down, x::across].astype(np.uint64)
        above = None
        for row in part if part.shape[1] else ():
            line = np.frombuffer(_line(row, bits, ">", 1), np.uint8).astype(int)
            above = np.zeros_like(line) if above is None else above
            left = np.concatenate([np.zeros(distance, int), line])[: len(line)]
            corner = np.concatenate([np.zeros(distance, int), above])[: len(line)]
            guess = left + above - corner
            far = [abs(guess - left), abs(guess - above), abs(guess - corner)]
            paeth = np.where(
                (far[0] <= far[1]) & (far[0] <= far[2]),
                left,
                np.where(far[1] <= far[2], above, corner),
            )
            kind = filters[number % len(filters)]
            change = [0, left, above, (left + above) // 2, paeth][kind]
            content += bytes([kind]) + ((line - change) % 256).astype(np.uint8).tobytes()
            above, number = line, number + 1
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlaced))
    parts = [(b"IHDR", header), *chunks]
    parts += [(b"PLTE", palette.astype(np.uint8).tobytes())] if palette is not None else []
    parts += [(b"IDAT", zlib.compress(content)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )
