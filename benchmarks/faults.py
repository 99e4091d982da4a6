"""Faults planted in a data set, and how many of them the audit finds.

python benchmarks/faults.py                 synthetic images; four minutes
python benchmarks/faults.py --data DIR      and near duplicates of the images of a folder
"""

import argparse
import io
import shlex
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps
from sklearn.dummy import DummyClassifier

from lungestimators import ImageReader, audit_images, load_image_folder, make_chest_xrays

RESULTS = Path(__file__).parent / "results" / "faults"
SEEDS = 20


def rescaled(image):
    """Halve an image and bring it back."""
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.BILINEAR)
    return half.resize(image.size, Image.Resampling.BILINEAR)


def compressed(image):
    """Save an image as JPEG of quality 50."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=50)
    return Image.open(file)


ALTERATIONS = {
    "rescaled to half and back": rescaled,
    "JPEG, quality 50": compressed,
    "mirrored": ImageOps.mirror,
    "contrast x 1.3": lambda image: ImageEnhance.Contrast(image).enhance(1.3),
}


def audit(X, y, **options):
    """Audit without a real estimator: no figure here depends on one."""
    return audit_images(X, y, estimator=DummyClassifier(), cv=5, random_state=0, **options)


def false_alarms(n_images):
    """Yield a row of the table: different images that are called duplicates."""
    X, y = make_chest_xrays(n_images, random_state=101)
    groups = audit(X, y).groups_
    alarms = np.isin(groups, np.flatnonzero(np.bincount(groups) > 1)).sum()
    yield (
        "synthetic, 128 px: distinct images called duplicates",
        f"{alarms} of {n_images}",
        "< 0.1 %",
    )


def duplicates(name, X, y):
    """Yield rows of the table: altered copies of X that are found."""
    for alteration, alter in ALTERATIONS.items():
        copies = np.stack([np.asarray(alter(Image.fromarray(image))) for image in X])
        found = audit(X, y, X_test=copies).leaked_.sum()
        yield f"{name}: copies found, {alteration}", f"{found} of {len(X)}", ">= 99 %"


def markers():
    """Yield rows of the table: sets in which a shortcut is seen, with a marker and without."""
    for name, marker, asked in (("no marker", 0, "<= 1"), ("a marker on class 1", 1, "20")):
        seen = 0
        for seed in range(SEEDS):
            X, y = make_chest_xrays(300, marker=marker, random_state=seed)
            seen += audit(X, y).checks["shortcuts"].verdict != "ok"
        yield f"synthetic sets with {name}: shortcut seen", f"{seen} of {SEEDS}", asked


def real(folder):
    """The distinct images of a folder at 224 px, uint8, and their labels."""
    lungs = load_image_folder(folder)
    kept = audit(lungs.data, lungs.target).keep_
    pixels = ImageReader(image_size=224).transform(lungs.data[kept])
    return np.rint(255 * pixels[..., 0]).astype(np.uint8), lungs.target[kept]


def main(argv):
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of images, a sub-folder a class")
    arguments = parser.parse_args(argv)
    lines = ["| planted | found | asked |", "| --- | ---: | --- |"]

    def show(rows):
        for row in rows:
            lines.append(f"| {' | '.join(row)} |")
            print(lines[-1], flush=True)

    print("\n".join(lines), flush=True)
    show(false_alarms(4000))
    show(duplicates("synthetic, 128 px", *make_chest_xrays(1000, random_state=100)))
    if arguments.data:
        show(duplicates("real, 224 px", *real(arguments.data)))
    show(markers())
    RESULTS.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", "benchmarks/faults.py", *argv])
    text = (
        f"```\n{command}\n```\n\n" + "\n".join(lines) + "\n\nOf real images, repeats that the "
        "audit finds were dropped first. Other sizes: docs/design/experiments-without-scripts.md.\n"
    )
    (RESULTS / "results.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
