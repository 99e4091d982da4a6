"""Measure what LungFields finds, how fast it is, and what it does to shortcuts.

    python benchmarks/lungs.py [--data DIR]

All images are synthetic but for those of DIR, a folder of radiographs: a folder a class.
"""

import argparse
import json
import platform
import shlex
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from comparison.report import markdown_table
from lung_trials import hospitals, outlines, planted, refusals, shortcuts

from lungestimators import make_chest_xrays
from lungestimators.datasets import load_image_folder

RESULTS = Path(__file__).parent / "results"
FAULTS = ("none", "marker", "border", "collimation", "exposure")
_SEED = 5000  # of the sets in which a fault is planted


def parse(argv):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="lungs.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder of radiographs: a folder a class")
    parser.add_argument(
        "--quick", action="store_true", help="only try that everything runs, on few images"
    )
    parser.add_argument("--out", type=Path, help="folder; default: benchmarks/results/lungs")
    return parser.parse_args(argv)


def main(argv):
    """Run, print and write the tables; return the exit status."""
    arguments = parse(argv)
    name = "lungs-quick" if arguments.quick else "lungs"
    out = arguments.out or RESULTS / name
    out.mkdir(parents=True, exist_ok=True)
    text = [f"`{shlex.join(['python', 'benchmarks/lungs.py', *argv])}`, {_versions()}."]
    if arguments.quick:
        text[0] += " QUICK: this only shows that everything runs; the numbers mean nothing."
    results = {}
    for title, measure in _parts(arguments).items():
        print(f"{title} ...", flush=True)
        header, lines, words = measure()
        results[title] = dict(header=header, lines=lines)
        text += [f"## {title}", markdown_table([header, *lines]), words]
        print(f"{text[-2]}\n{words}\n", flush=True)
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    page = "\n\n".join(["# What LungFields does", *text]) + "\n"
    (out / "results.md").write_text(page, encoding="utf-8")
    print(f"Written to {out}: results.json, results.md")
    return 0


def _parts(arguments):
    """Return what is to be measured: title -> function of a header, lines and words."""
    few = arguments.quick
    folder = arguments.data and load_image_folder(arguments.data)
    parts = {
        "Outlines": partial(_outlines, 20 if few else 300),
        "Time": partial(_time, 50 if few else 1000),
        "Refused pictures": partial(_refused, 3 if few else 15, folder),
        "Planted faults": partial(_planted, 30 if few else 150, few),
        "Planted marker, many seeds": partial(_marker, 30 if few else 120, 1 if few else 20),
        "A second hospital": partial(_hospitals, 30 if few else 200, 1 if few else 5),
    }
    if folder:
        parts["Radiographs"] = partial(_radiographs, folder, Path(arguments.data))
    return parts


def _outlines(n_images):
    found = outlines.score_outlines(n_images)
    header = ["synthetic radiographs", "median", "worst twentieth"]
    lines = [
        ["intersection over union", f"{found['iou']:.3f}", f"{found['iou_of_worst']:.3f}"],
        [
            "mean distance of outlines, mm",
            f"{found['distance']:.1f}",
            f"{found['distance_of_worst']:.1f}",
        ],
    ]
    return header, lines, f"{n_images} images of other seeds, in a field of 40 cm."


def _time(n_images):
    seconds = outlines.time_files(n_images)
    lines = [[f"{n_images} JPEG files of 512 x 512 pixels, crop", f"{seconds:.1f}"]]
    words = "Reading, finding the lungs and resizing, without a cache, once."
    return ["what", "seconds"], lines, words


def _refused(n_each, folder):
    X, _ = make_chest_xrays(max(n_each, 30), image_size=refusals.SIDE, random_state=_SEED - 1)
    found = refusals.refusals_of_pictures(X, n_each)
    found.append(("synthetic radiographs", len(X), int(refusals.refused(X).sum())))
    if folder:
        refused = refusals.refused(folder.data)
        found.append(("radiographs of --data", len(refused), int(refused.sum())))
    lines = [[kind, str(n), str(n_refused)] for kind, n, n_refused in found]
    words = (
        "Drawn pictures are of the kinds that the network has learnt to refuse, of another seed. "
        "Photographs are those of scikit-image."
    )
    return ["pictures", "number", "refused"], lines, words


def _planted(n_images, few):
    lines = []
    for fault in FAULTS[:2] if few else FAULTS:
        X, y = planted.planted_set(fault, n_images, _SEED)
        lines += _lines_of_ways(fault, shortcuts.score_ways(X, y, _models(few), 0))
    words = (
        f"{n_images} synthetic images of three classes each, in which no disease is visible: "
        "whatever is above a third is the fault, but for luck."
    )
    return _header_of_ways("fault", _models(few)), lines, words


def _marker(n_images, n_seeds):
    seeds = range(_SEED, _SEED + n_seeds)
    draw = partial(planted.planted_set, "marker", n_images)
    lines = []
    for way in shortcuts.WAYS:
        lines.append([way, f"{shortcuts.seeds_at_chance(draw, way, seeds)} of {n_seeds}"])
    words = (
        f"{n_images} images a set; class 1 has a letter in the upper right corner. At chance: the "
        "95 % interval of the accuracy reaches down to the share of the largest class."
    )
    return ["MobileNet sees", "sets at chance"], lines, words


def _hospitals(n_images, n_seeds):
    lines = []
    for name in ("CNN", "MobileNet"):
        for way in shortcuts.WAYS:
            aucs = []
            for seed in range(_SEED, _SEED + 10 * n_seeds, 10):
                first, second = (
                    (shortcuts.look(way, X), y)
                    for X, y in hospitals.first_and_second(n_images, seed)
                )
                model = shortcuts.MODELS[name]
                aucs.append(hospitals.auc_within_and_away(model, first, second, seed))
            within, away = np.median(aucs, axis=0)
            drop = np.median([within - away for within, away in aucs])
            lines.append([name, way, f"{within:.3f}", f"{away:.3f}", f"{drop:.3f}"])
    header = ["model", "sees", "AUC, first hospital", "AUC, second", "drop"]
    words = (
        f"{n_images} synthetic images of a first hospital, to learn from, in which the portable "
        f"device tells the sick; {n_images} of a second one, in which it does not. The AUC in the "
        f"first is by cross-validation. Medians of {n_seeds} seeds, of each column by itself."
    )
    return header, lines, words


def _radiographs(folder, path):
    whole = path.resolve()
    name = f"{whole.parent.name}/{whole.name}"
    y = np.unique(folder.target, return_inverse=True)[1]
    models = list(shortcuts.MODELS)
    lines = _lines_of_ways(name, shortcuts.score_ways(folder.data, y, models, 0))
    words = (
        f"{len(y)} radiographs; chance is {1 / len(set(y)):.3f}. Images in which the lungs are not "
        "found stay as they are. Public sets mix hospitals: high accuracy may come from the source."
    )
    return _header_of_ways("set", models), lines, words


def _models(few):
    return ["CNN"] if few else ["CNN", "MobileNet"]


def _header_of_ways(first, models):
    return [first, "seen", "border alone", "by the audit", *models]


def _lines_of_ways(name, rows):
    lines = []
    for row in rows:
        numbers = [f"{row[key]:.3f}" for key in row if key not in ("way", "border", "verdict")]
        lines.append([name, row["way"], f"{row['border']:.3f}", row["verdict"], *numbers])
    return lines


def _versions():
    packages = ("lungestimators", "keras", "tensorflow", "scikit-learn")
    return f"Python {platform.python_version()}, " + ", ".join(
        f"{p} {version(p)}" for p in packages
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
