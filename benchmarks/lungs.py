"""Measure what LungFields finds, how fast it is, and what it does to shortcuts.

    python benchmarks/lungs.py [--data DIR]
    python benchmarks/lungs.py --masks FOLDERS... --images FILES...
    python benchmarks/lungs.py --overlays FOLDER --images FILES...

All images of the first command are synthetic but for those of DIR, a folder of radiographs: a
folder a class. The second one compares the masks of LungFields with masks that persons drew. The
third one draws the outlines on radiographs, to be looked at, and measures nothing.
"""

import argparse
import os
import platform
import shlex
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from comparison.report import markdown_table
from lung_trials import hospitals, outlines, overlays, planted, refusals, shortcuts

from lungestimators import audit_images, make_chest_xrays
from lungestimators.comparison.statistics import wilson_interval
from lungestimators.datasets import load_image_folder

RESULTS = Path(__file__).parent / "results"
PARTS = ("outlines", "time", "refused", "planted", "marker", "hospitals", "radiographs")
FAULTS = ("none", "marker", "border", "collimation", "exposure")
_SEED = 5000  # of the sets in which a fault is planted


def parse(argv):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="lungs.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="folder of radiographs: a folder a class")
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="measure these alone")
    parser.add_argument(
        "--masks",
        type=Path,
        nargs="+",
        metavar="FOLDER",
        help="folder of masks, named as their images, with or without _mask or -mask; or a folder "
        "for each lung",
    )
    parser.add_argument("--overlays", type=Path, help="folder for sheets of outlines")
    parser.add_argument("--images", nargs="+", help="radiographs, for --masks and --overlays")
    parser.add_argument(
        "--quick", action="store_true", help="only try that everything runs, on few images"
    )
    parser.add_argument("--out", type=Path, help="folder; default: benchmarks/results/lungs")
    arguments = parser.parse_args(argv)
    if bool(arguments.masks or arguments.overlays) != bool(arguments.images):
        parser.error("--masks and --overlays need --images, and --images needs one of them")
    measured = arguments.data or arguments.parts or arguments.quick or arguments.out
    if arguments.images and measured:
        parser.error("--images does not go with --data, --parts, --quick or --out")
    return arguments


def main(argv):
    """Run, print and write the tables; return the exit status."""
    arguments = parse(argv)
    if arguments.masks:
        try:
            scores = outlines.score_against_masks(arguments.images, arguments.masks)
        except (ValueError, OSError) as error:
            print(f"lungs.py: {error}", file=sys.stderr)
            return 1
        print(_table_of_masks(scores))
    if arguments.overlays:
        for sheet in overlays.draw_overlays(arguments.images, arguments.overlays):
            print(sheet)
    if arguments.images:
        return 0
    out = arguments.out or RESULTS / ("lungs-quick" if arguments.quick else "lungs")
    out.mkdir(parents=True, exist_ok=True)
    for part, (title, measure) in _parts(arguments).items():
        if arguments.parts and part not in arguments.parts:
            continue
        print(f"{title} ...", flush=True)
        header, lines, words = measure()
        table = markdown_table([header, *lines])
        print(f"{table}\n{words}\n", flush=True)
        argv_of_part = argv if "--parts" in argv else [*argv, "--parts", part]
        command = shlex.join(["python", "benchmarks/lungs.py", *argv_of_part])
        quick = "QUICK: this only shows that everything runs; the numbers mean nothing.\n\n"
        page = f"# {title}\n\n{quick if arguments.quick else ''}{table}\n\n{words}\n\n"
        page += f"```\n{command}\n```\n\n{_versions()}.\n"
        (out / f"{part}.md").write_text(page, encoding="utf-8")
    print(f"Written to {out}")
    return 0


def _parts(arguments):
    """Return what is to be measured: name -> title, and a function of a header, lines and words."""
    few = arguments.quick
    folder = arguments.data and load_image_folder(arguments.data)
    parts = {
        "outlines": ("Outlines", partial(_outlines, 20 if few else 300)),
        "time": ("Time", partial(_time, 50 if few else 1000)),
        "refused": ("Refused pictures", partial(_refused, 3 if few else 15, folder)),
        "planted": ("Planted faults", partial(_planted, 30 if few else 150, few)),
        "marker": (
            "A planted marker, many seeds",
            partial(_marker, 30 if few else 120, 1 if few else 20),
        ),
        "hospitals": (
            "A second hospital",
            partial(_hospitals, 30 if few else 400, 1 if few else 10, _models(few)),
        ),
    }
    if folder:
        parts["radiographs"] = "Radiographs", partial(_radiographs, folder, Path(arguments.data))
    return parts


def _table_of_masks(scores):
    rows = ("intersection over union", "missing, share of the mask", "added, share of the mask")
    header = ["against masks by persons", "lowest", "5 %", "median", "95 %", "highest"]
    lines = [
        [name, *(f"{value:.3f}" for value in np.percentile(values, (0, 5, 50, 95, 100)))]
        for name, values in zip(rows, scores.T, strict=True)
    ]
    n_refused = (scores[:, 1] == 1).sum()
    words = f"Radiographs: {len(scores)}, of which {n_refused} were refused: there all is missing."
    return f"{markdown_table([header, *lines])}\n{words}"


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
    return header, lines, f"{n_images} images of other seeds, of 36 cm a side on average."


def _time(n_images):
    ways = {way: lungs for way, lungs in shortcuts.WAYS.items() if lungs is not None}
    seconds = outlines.time_files(n_images, ways.values())
    lines = [[way, f"{taken:.1f}"] for way, taken in zip(ways, seconds, strict=True)]
    n_cores = len(os.sched_getaffinity(0))
    words = (
        f"{n_images} JPEG files of {outlines.SIDE_OF_TIMED} x {outlines.SIDE_OF_TIMED} pixels: "
        f"reading, finding the lungs and resizing, without a cache, once, on {n_cores} cores."
    )
    return ["what is asked for", "seconds"], lines, words


def _refused(n_each, folder):
    X, _ = make_chest_xrays(max(n_each, 30), image_size=refusals.SIDE, random_state=_SEED - 1)
    found = refusals.refusals_of_pictures(X, n_each)
    found.append(("synthetic radiographs", len(X), int(refusals.refused(X).sum())))
    if folder:
        refused = refusals.refused(folder.data)
        for name in np.unique(folder.target):
            of_class = refused[folder.target == name]
            found.append((f"radiographs, {name}", len(of_class), int(of_class.sum())))
    lines = [[kind, str(n), str(n_refused)] for kind, n, n_refused in found]
    words = (
        "Drawn pictures and turned radiographs are of the kinds that the network has learnt to "
        "refuse, of other seeds. Photographs are those of scikit-image, and none was learnt from. "
        "Real lateral views and hands were not tried."
    )
    return ["pictures", "number", "refused"], lines, words


def _planted(n_images, few):
    lines = []
    for fault in FAULTS[:1] if few else FAULTS:
        X, y = planted.planted_set(fault, n_images, _SEED)
        lines += _lines_of_ways(fault, shortcuts.score_ways(X, y, _models(few), 0))
    low, high = wilson_interval(1 / 3, n_images)
    words = (
        f"{n_images} synthetic images of three classes each, in which no disease is visible: "
        f"whatever is above a third is the fault, but for luck ({low:.2f} to {high:.2f} in 95 % of "
        f"such sets). {_COLUMNS}"
    )
    return _header_of_ways("fault", _models(few)), lines, words


def _marker(n_images, n_seeds):
    without = "whole image, no marker"
    scores = {title: [] for title in (without, *shortcuts.WAYS)}
    for seed in _seeds("marker", range(_SEED, _SEED + n_seeds)):
        clean, y = planted.planted_set("none", n_images, seed)
        marked, _ = planted.planted_set("marker", n_images, seed)
        seen = {without: clean, **{way: shortcuts.look(way, marked) for way in shortcuts.WAYS}}
        for title, images in seen.items():
            model = shortcuts.MODELS["MobileNet"]
            scores[title].append(shortcuts.score(model, images, y, seed))
    lines = []
    for title, found in scores.items():
        n_chance = sum(wilson_interval(score, n_images)[0] <= 1 / 3 for score in found)
        low, high = wilson_interval(np.mean(found), n_images * n_seeds)
        pooled = f"{np.mean(found):.3f} ({low:.3f} to {high:.3f})"
        lines.append([title, f"{n_chance} of {n_seeds}", pooled])
    words = (
        f"{n_images} images a set without visible disease; class 1 has a letter in the upper right "
        "corner. At chance: the 95 % interval of the balanced accuracy in five folds reaches down "
        "to a third. All sets: the mean, and the interval of so many images. The first row says "
        "how often luck alone is above chance: folds of one set are not independent."
    )
    return ["MobileNet sees", "sets at chance", "balanced accuracy, all sets"], lines, words


def _hospitals(n_images, n_seeds, models):
    without = "whole image, no shortcut"
    aucs = {(name, title): [] for name in models for title in (without, *shortcuts.WAYS)}
    for seed in _seeds("hospitals", range(_SEED, _SEED + 10 * n_seeds, 10)):
        both = hospitals.first_and_second(n_images, seed)
        seen = {without: hospitals.first_and_second(n_images, seed, with_shortcut=False)}
        for way in shortcuts.WAYS:
            seen[way] = [(shortcuts.look(way, X), y) for X, y in both]
        for name, title in aucs:
            model = shortcuts.MODELS[name]
            found = hospitals.auc_within_and_away(model, *seen[title], seed)
            aucs[name, title].append(found)
    lines = []
    for (name, title), found in aucs.items():
        within, away = np.median(found, axis=0)
        drops = [within - away for within, away in found]
        drop = f"{np.median(drops):.3f} ({min(drops):.3f} to {max(drops):.3f})"
        lines.append([name, title, f"{within:.3f}", f"{away:.3f}", drop])
    header = ["model", "sees", "AUC, first hospital", "AUC, second", "drop"]
    words = (
        f"{n_images} synthetic images of a first hospital, to learn from, in which the portable "
        f"device tells the sick; {n_images} of a second one, in which it does not. The AUC in the "
        f"first is by cross-validation. Medians of {n_seeds} seeds, of each column by itself; in "
        "brackets the lowest and the highest. By construction most of the shortcut lies outside "
        "the lungs: this is the best case."
    )
    return header, lines, words


def _seeds(part, seeds):
    """Yield seeds, and say which one of them it is."""
    for number, seed in enumerate(seeds, start=1):
        print(f"{part}: seed {number} of {len(seeds)}", flush=True)
        yield seed


def _radiographs(folder, path):
    whole = path.resolve()
    names, y = np.unique(folder.target, return_inverse=True)
    report = audit_images(folder.data, folder.target, checks=["readability", "duplicates"])
    keep = np.flatnonzero(report.keep_)
    paths, y = [folder.data[row] for row in keep], y[keep]
    models = list(shortcuts.MODELS)
    rows = shortcuts.score_ways(paths, y, models, 0, report.groups_[keep])
    lines = _lines_of_ways(f"{whole.parent.name}/{whole.name}", rows)
    words = (
        f"{len(y)} radiographs, without repeats; chance is {1 / len(names):.3f}. Refused images "
        "stay as they are. Public sets mix hospitals: a high score may come from the source. "
        f"{_COLUMNS}"
    )
    return _header_of_ways("set", models), lines, words


_COLUMNS = (
    "Balanced accuracy in five folds. Border alone: trees on the outer eighth, by the audit; after "
    "crop and mask it shows lung. Beside the lungs: MobileNet on the same images with black lungs, "
    "and of masks on the outlines of the lungs."
)


def _models(few):
    return ["CNN"] if few else ["CNN", "MobileNet"]


def _header_of_ways(first, models):
    return [first, "seen", "border alone", "by the audit", "beside the lungs", *models]


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
