"""What speed.py makes of its measurements: rows, a table, what has fallen."""

import json
import statistics
from typing import NamedTuple

WORKS = {
    "cv": "Five-fold cross-validation, frozen DenseNet121, 224 px, 10 epochs of the head",
    "search": "20 Optuna trials x 3 folds over head parameters, nothing known at first",
    "top": "An epoch of fine-tuning the last stage of DenseNet121, after the first",
    "cnn": "Five-fold cross-validation, custom CNN, 48 px, 10 epochs",
    "workers": "Six-fold cross-validation, custom CNN, 64 px, 10 epochs: two processes beside one",
    "predict": "predict_proba of 1000 images, beside model.predict with batches of 16",
    "paths": "Fit and predict on JPEG files of 512 px, MobileNet 0.25 at 128 px",
    "reading": "Reading JPEG files of 512 px at 224 px, beside MobileNet at 224 px",
    "growth": "The cross-validation of the first rows on more images, seconds an image",
}
SEARCHES = {
    "ours": "objective by hand",
    "optunasearch": "OptunaSearch",
    "searchcv": "OptunaSearchCV",
    "pruning": "OptunaSearchCV, pruning",
}
PEERS = {"scikeras": "SciKeras", "keras": "Keras by hand", "skorch": "skorch"}

# A ratio may fall by this part before --check fails; by more where its own runs differ by more.
NOISE = 0.2


class Row(NamedTuple):
    """One figure.

    Attributes
    ----------
    work, what : str
    ours : float
        Seconds, unless ``what`` names another unit.
    against : str
        With what it is compared.
    theirs : float or None
    value : float
        What ``asked`` is about: a ratio, or seconds.
    asked : float or None
    most : bool
        Whether ``value`` should be at most what was asked, not at least.
    spread : float
        (Largest - smallest) / median of our own runs.
    """

    work: str
    what: str
    ours: float
    against: str
    theirs: float | None
    value: float
    asked: float | None = None
    most: bool = False
    spread: float = 0.0

    def reached(self):
        """Whether the figure is what was asked."""
        if self.asked is None:
            return None
        return self.value <= self.asked if self.most else self.value >= self.asked


def rows(measured):
    """Return rows of what was measured, as (work, contender, part) -> list of figures."""
    found = []

    def median(*key):
        return statistics.median(measured[key])

    def add(work, what, key, against, theirs, value, asked=None, most=False):
        runs = measured[key]
        spread = (max(runs) - min(runs)) / median(*key)
        found.append(Row(work, what, median(*key), against, theirs, value, asked, most, spread))

    def peers(work, what, name, asked, ours="ours"):
        key = (name, ours, "seconds")
        for peer, title in PEERS.items():
            theirs = (name, peer, "seconds")
            if theirs in measured:
                if (name, peer, "measured") in measured:
                    title += ", one fold multiplied"
                value = median(*theirs) / median(*key)
                add(work, what, key, title, median(*theirs), value, asked.get(peer))

    if ("cv", "ours", "seconds") in measured:
        forward = median("forward", "keras", "seconds")
        key = ("cv", "ours", "seconds")
        over = median(*key) - 1.3 * forward
        add("cv", "seconds beyond 1.3 x", key, "one bare forward pass", forward, over, 5, True)
        peers("cv", "cold, ratio", "cv", {"scikeras": 25})
        for units in (512, 256):
            key = ("cv", "ours", f"warm, {units} units")
            add("cv", f"next trial, {units} units: seconds", key, "", None, median(*key), 1.5, True)
    for contender, title in SEARCHES.items():
        key = ("search", contender, "seconds")
        if key in measured:
            forward = median("forward", "keras", "seconds")
            passes = median(*key) / forward
            what = f"{title}: forward passes"
            add("search", what, key, "one bare forward pass", forward, passes, 3, True)
            peers("search", f"{title}: ratio", "search", {"scikeras": 150}, contender)
    for work, asked in (("top", {"keras": 5}), ("cnn", {"scikeras": 1.5})):
        if (work, "ours", "seconds") in measured:
            peers(work, "ratio", work, asked)
    if ("workers", "two", "seconds") in measured:
        for part, what, asked in (
            ("seconds", "imports and tracing too: ratio", 1.2),
            ("again", "called again: ratio", None),
        ):
            key, one = ("workers", "two", part), median("workers", "one", part)
            add("workers", what, key, "one process", one, one / median(*key), asked)
    for name in dict.fromkeys(work for work, *_ in measured if work.startswith("predict ")):
        bare = median(name, "both", "bare")
        for part, what, asked in (("seconds", "cold", 0.97), ("warm", "warm", 50)):
            key = (name, "both", part)
            network = name.removeprefix("predict ")
            value = bare / median(*key)
            add("predict", f"{network}, {what}: ratio", key, "model.predict", bare, value, asked)
    sizes = sorted({int(work.split()[1]) for work, *_ in measured if work.startswith("paths ")})
    if sizes:
        few, many = sizes
        key = (f"paths {many}", "ours", "most memory")
        gigabytes = median(*key) / 1e9
        add("paths", f"{many} files: GB resident at most", key, "", None, gigabytes, 1.5, True)
        for contender, how in (("ours", "frozen"), ("everything", "everything learns")):
            key = (f"paths {many}", contender, "most memory")
            more = (median(*key) - median(f"paths {few}", *key[1:])) / 1e6
            what = f"{many} files, {how}: MB more than for {few}"
            add("paths", what, key, "", None, more, 200, True)
        key = (f"paths {many}", "ours", "seconds")
        of_few = median(f"paths {few}", "ours", "seconds")
        cost = median(*key) / many / (of_few / few)
        add(
            "paths",
            f"{many} files: cost an image over",
            key,
            f"{few} files",
            of_few,
            cost,
            1.15,
            True,
        )
    if ("reading", "ours", "seconds") in measured:
        key = ("reading", "ours", "seconds")
        network = median("reading", "ours", "network")
        add("reading", "ratio", key, "the network alone", network, network / median(*key), 3)
    for name in dict.fromkeys(work for work, *_ in measured if work.startswith("growth ")):
        n_images = int(name.split()[1])
        key = (name, "ours", "seconds")
        add(
            "growth", f"{n_images} images: seconds an image", key, "", None, median(*key) / n_images
        )
    return found


def table(rows):
    """Return a Markdown table."""
    lines = [
        "| work | figure | ours | compared with | theirs | value | asked |",
        "| --- | --- | ---: | --- | ---: | ---: | --- |",
    ]
    before = None
    for row in rows:
        asked = ""
        if row.asked is not None:
            word = "at most" if row.most else "at least"
            asked = f"{word} {row.asked:g}" + ("" if row.reached() else ": **missed**")
        in_bytes = "GB" in row.what or "MB" in row.what
        ours = f"{row.ours / 1e9:.2f} GB" if in_bytes else f"{row.ours:.2f} s"
        theirs = "" if row.theirs is None else f"{row.theirs:.2f} s"
        work = WORKS[row.work] if row.work != before else ""
        cells = (work, row.what, ours, row.against, theirs, f"{row.value:.3g}", asked)
        lines.append(f"| {' | '.join(cells)} |")
        before = row.work
    return "\n".join(lines)


def fallen(rows, folder):
    """Return a line for each ratio that is below the committed one by more than the noise.

    A ratio that was never committed is a line too: nothing can be said about it.
    """
    known = {
        (row["work"], row["what"], row["against"]): row
        for work in read(folder).values()
        for row in work["rows"]
    }
    problems = []
    for row in rows:
        before = known.get((row.work, row.what, row.against))
        if row.most or row.theirs is None:
            continue
        if before is None:
            problems.append(
                f"{WORKS[row.work]}, {row.what} to {row.against}: {row.value:.3g}, not among the "
                "committed results"
            )
            continue
        noise = max(NOISE, row.spread, before["spread"])
        if row.value < before["value"] * (1 - noise):
            problems.append(
                f"{WORKS[row.work]}, {row.what} to {row.against}: {row.value:.3g}, was "
                f"{before['value']:.3g} (noise {noise:.0%})"
            )
    return problems


def read(folder):
    """Return what is known of each work."""
    file = folder / "results.json"
    return json.loads(file.read_text()) if file.exists() else {}


def write(folder, rows, facts, measured):
    """Write results.json and results.md; works that were not run now stay as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    works = read(folder)
    for work in dict.fromkeys(row.work for row in rows):
        runs = [
            dict(what=name, contender=contender, part=part, runs=values)
            for (name, contender, part), values in measured.items()
            if name.split()[0] in (work, "forward")
        ]
        works[work] = dict(
            facts, rows=[row._asdict() for row in rows if row.work == work], measured=runs
        )
    works = {work: works[work] for work in WORKS if work in works}
    (folder / "results.json").write_text(json.dumps(works, indent=1) + "\n")
    (folder / "results.md").write_text(_page(works))


def _page(works):
    rows = [Row(**row) for work in works.values() for row in work["rows"]]
    commands = {}
    for name, work in works.items():
        how = (
            work["command"],
            f"{work['data']}; {work['machine']}; "
            + ", ".join(f"{package} {number}" for package, number in work["versions"].items())
            + f". Medians of {work['runs']} runs, of {work['slow_runs']} for contenders that take "
            "minutes.",
        )
        commands.setdefault(how, []).append(name)
    said = "\n".join(
        f"Works {', '.join(names)}:\n\n```\n{command}\n```\n\n{how}\n"
        for (command, how), names in commands.items()
    )
    return (
        f"# Speed\n\n{table(rows)}\n\n{said}\n"
        "Random weights: they cost what ImageNet's do. *One fold multiplied*: one fold of a peer "
        "was measured and multiplied by the number of folds and of trials. Keras by hand is the "
        "loop that one writes first, with the whole network in every epoch. In fine-tuning, batch "
        "normalisation of the last stage learns in ours and stays frozen, which costs less, in "
        "theirs.\n"
    )
