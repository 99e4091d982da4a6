"""Twenty thousand damaged files: each is read or named, and nothing else happens."""

import io
import os
import random
import subprocess
import sys
from collections import Counter

import numpy as np
import pydicom.data
import pytest
from PIL import Image

from lungestimators import ImageReadError
from lungestimators.images import decoding, file_checks, reading

pytestmark = pytest.mark.slow

# Files of one process, and how long it may take: a hang is a failure.
N_FILES = 2_500
SECONDS = 300

FORMATS = {
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "JPEG": ["L", "RGB", "CMYK"],
    "TIFF": ["1", "L", "RGB", "I;16", "I", "F"],
    "GIF": ["P"],
    "BMP": ["L", "RGB"],
    "WEBP": ["RGB"],
    "JPEG2000": ["L", "RGB", "I;16"],
    "PPM": ["L", "RGB"],
    "TGA": ["L", "RGB"],
    "ICO": ["RGB"],
    "PCX": ["L"],
    "SGI": ["RGB"],
}


def pillow_files():
    """Small valid files of many formats and modes."""
    grey = np.add.outer(np.arange(48), np.arange(56)).astype(np.uint8) * 2
    for image_format, modes in FORMATS.items():
        for mode in modes:
            if mode == "I;16":
                image = Image.fromarray(grey.astype(np.uint16) * 300)
            else:
                image = Image.fromarray(grey).convert("RGB").convert("L" if mode in "IF" else mode)
                image = image.convert(mode)
            buffer = io.BytesIO()
            options = {"compression": "tiff_lzw"} if image_format == "TIFF" and mode != "1" else {}
            image.save(buffer, image_format, **options)
            yield buffer.getvalue()


def dicom_files():
    """Those of pydicom's own test files that hold an image and are not large."""
    folder = os.path.join(os.path.dirname(pydicom.data.__file__), "test_files")
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if (
            name.endswith(".dcm")
            and os.path.getsize(path) < 200_000
            and decoding.is_decodable(path)
        ):
            try:
                reading.read_image(path, 1)
            except ImageReadError:
                continue
            with open(path, "rb") as file:
                yield file.read()


def damaged(content, dice):
    """Cut a file off, take a piece out, blank a piece, or change bytes, in the header rather."""
    content = bytearray(content)
    kind = dice.random()
    start = dice.randrange(len(content))
    if kind < 0.15:
        return content[:start]
    if kind < 0.3:
        del content[start : start + dice.randrange(1, 200)]
    elif kind < 0.4:
        piece = content[start : start + dice.randrange(1, 2000)]
        content[start : start + len(piece)] = bytes([dice.choice([0, 255])]) * len(piece)
    else:
        reach = len(content) if kind < 0.7 else min(len(content), 1000)
        for _ in range(dice.randrange(1, 20)):
            content[dice.randrange(reach)] = dice.choice([0, 127, 128, 255, dice.randrange(256)])
    return content


def main(kind, seed, folder):
    """Damage files and read them; print how many were read and how many named."""
    valid = list({"pillow": pillow_files, "dicom": dicom_files}[kind]())
    assert len(valid) >= 30
    dice = random.Random(f"{kind} {seed}")
    outcomes = Counter()
    for number in range(N_FILES):
        path = os.path.join(folder, f"{number}")
        with open(path, "wb") as file:
            file.write(damaged(dice.choice(valid), dice))
        try:
            file_checks.check_files([path])
            pixels = reading.read_image(path, dice.choice([1, 3]))
            assert pixels.dtype == np.float32, path
            assert np.isfinite(pixels).all(), path
            assert 0 <= pixels.min() <= pixels.max() <= 1, path
            outcomes["read"] += 1
        except ImageReadError as error:
            assert path in str(error)
            outcomes["named"] += 1
        os.unlink(path)  # what is left behind was read last
    print(outcomes["read"], outcomes["named"])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["pillow", "dicom"])
def test_a_damaged_file_is_read_or_named(kind, seed, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, kind, str(seed), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    n_read, n_named = map(int, done.stdout.split()[-2:])
    assert n_read + n_named == N_FILES
    assert min(n_read, n_named) > N_FILES // 10


if __name__ == "__main__":
    main(*sys.argv[1:])
