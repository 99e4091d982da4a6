"""What compare.py shows and writes: one table, figures, JSON, Markdown, one HTML page."""

import base64
import html
import json
import shutil
from pathlib import Path

import matplotlib
import numpy as np

from lungestimators import ClassDistributionDisplay, SampleImagesDisplay, TrainingCurvesDisplay
from lungestimators.text_tables import html_table

matplotlib.use("agg")
import matplotlib.pyplot as plt
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay

SYNTHETIC = "Synthetic images: the scores say nothing about patients."
REAL = (
    "Public sets repeat images and mix hospitals, and few say which images show one patient: high "
    "accuracy may come from the source and not from the lung. Not for clinical use."
)


def describe(problem, arguments):
    """Say in one paragraph what was run."""
    if problem.split is None:
        how = f"{arguments.folds}-fold stratified cross-validation"
        if problem.groups is not None:
            how += f" by patient ({len(np.unique(problem.groups))})"
    else:
        how = f"trained on {len(problem.split[0])}, scored on {len(problem.split[1])}"
    counts = ", ".join(
        f"{name}: {n}" for name, n in zip(problem.names, np.bincount(problem.y), strict=True)
    )
    if problem.note:
        how = f"{problem.note}; {how}"
    if problem.synthetic:
        how = f"difficulty {arguments.difficulty:g}; {how}"
    quick = "QUICK: this only shows that everything runs; the numbers mean nothing. "
    return (
        f"{quick if arguments.quick else ''}{len(problem.y)} images ({counts}); {how}, "
        f"{arguments.repeats} seed{'s' if arguments.repeats > 1 else ''} from {arguments.seed}. "
        f"{SYNTHETIC if problem.synthetic else REAL}"
    )


def cells(rows, problem):
    """Header and lines of the table, as text."""
    # The names that the notes of the comparison explain.
    unit = "image" if problem.groups is None else "group"
    intervals = ["95 % by folds", f"95 % by {unit}s"]
    if problem.split is not None:
        intervals = ["95 % interval"]
    header = ["model", "accuracy", *intervals]
    leaks_known = rows[0]["without_leaks"] is not None
    header += ["without leaks"] * leaks_known + ["balanced", "F1", "AUC", "log loss", "Brier"]
    header += [f"sens. {name}" for name in problem.names]
    header += ["fit s", "ms/image", "parameters", "published"]
    lines = [header]
    for row in rows:
        line = [row["title"], f"{row['accuracy']:.3f}"]
        both = row["interval"], row["bootstrap_interval"]
        line += [f"{low:.3f} to {high:.3f}" for low, high in both[: len(intervals)]]
        if leaks_known:
            accuracy = row["without_leaks"]["accuracy"]
            line += ["no image" if accuracy is None else f"{accuracy:.3f}"]
        line += [f"{row[key]:.3f}" for key in ("balanced_accuracy", "f1")]
        line += [_or_dash(row[key]) for key in ("auc", "log_loss", "brier")]
        line += [f"{value:.2f}" for value in row["sensitivity"]]
        line += [f"{row['fit_seconds']:.1f}", f"{row['predict_milliseconds']:.1f}"]
        line += [f"{row['parameters']:,}"]
        line += ["" if row["published"] is None else f"{row['published']:.3f}"]
        lines.append(line)
    return lines


def _or_dash(value):
    return "-" if value is None else f"{value:.3f}"


def markdown_table(lines):
    """Markdown, which reads well in a terminal too; numbers are set to the right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]

    def padded(line):
        first = line[0].ljust(widths[0])
        return [first] + [c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True)]

    text = ["| " + " | ".join(padded(line)) + " |" for line in lines]
    rule = ["-" * (widths[0] + 2)] + ["-" * (width + 1) + ":" for width in widths[1:]]
    text.insert(1, "|" + "|".join(rule) + "|")
    return "\n".join(text)


def audit_text(found):
    """Return the audit in Markdown, which reads well in a terminal too."""
    lines = [f"**Audit.** {found['conclusion']}", ""]
    lines += [f"- {name} ({verdict}): {sentence}" for name, verdict, sentence in found["checks"]]
    if found["shortcuts"]:
        lines += ["", markdown_table(_shortcut_cells(found))]
    return "\n".join(lines)


def _shortcut_cells(found):
    """What the class could be told from, as header and lines of a table."""
    lines = [["what is seen", "lung", "balanced accuracy", "95 % interval", "limit", "verdict"]]
    for row in found["shortcuts"]:
        scored = row["score"] is not None
        interval = f"{row['low']:.3f} to {row['high']:.3f}" if scored else ""
        score = f"{row['score']:.3f}" if scored else ""
        limit = "" if row["limit"] is None else f"{row['limit']:.3f}"
        lines.append([row["seen"], row["lung"], score, interval, limit, row["verdict"]])
    return lines


def differences_text(found):
    """Return which differences were shown, in Markdown, which reads well in a terminal too."""
    lines = [f"**Differences.** {found['conclusion']}", ""]
    lines += [*(f"- {pair['sentence']}" for pair in found["pairs"]), ""] if found["pairs"] else []
    return "\n".join([*lines, " ".join(found["notes"])])


NOTES = (
    "balanced: mean of the sensitivities; F1 and AUC: macro (AUC one against the rest); log loss, "
    "Brier: of the probabilities, the lower the better; sens.: "
    "share of a class that was recognised; fit s, ms/image: medians over the fits, without the "
    "forward pass of a frozen backbone whose outputs an earlier fold has left in memory; "
    "published: on a test set of 66 images, at chance for reasons given in "
    "docs/published-results.md."
)


def notes(rows):
    """Say what the columns are."""
    leaks = "without leaks: accuracy on the test images that repeat no training image; "
    return leaks * (rows[0]["without_leaks"] is not None) + NOTES


def figures(problem, rows):
    """Draw everything; return {file name: (figure, caption)}."""
    drawn = {"accuracy.png": (_accuracy(problem, rows), "Accuracy and its 95 % interval")}
    samples = SampleImagesDisplay.from_dataset(
        problem.X, problem.y, target_names=problem.names, n_images=8
    )
    drawn["samples.png"] = (samples.figure_, "Images of each class, drawn at random")
    classes = ClassDistributionDisplay.from_dataset(problem.y, target_names=problem.names)
    drawn["classes.png"] = (classes.figure_, "Images of each class")
    for row in rows:
        histories = [score["history"] for score in row["scores"] if score["history"]]
        if histories:
            curves = TrainingCurvesDisplay(histories).plot()
            caption = f"{row['title']}: training, mean over {len(histories)} fits and their range"
            drawn[f"training-{row['model']}.png"] = (curves.figure_, caption)
    drawn["confusion.png"] = (
        _confusion(problem, rows),
        "Confusion matrices, by true class",
    )
    drawn["roc.png"] = (_roc(problem, rows), "ROC curves, predictions of all folds pooled")
    if len(problem.names) == 2:
        caption = "Calibration: how often images of a predicted probability are of the class"
        drawn["calibration.png"] = (_calibration(problem, rows), caption)
    return drawn


def _accuracy(problem, rows):
    figure, ax = plt.subplots(figsize=(7, 0.5 * len(rows) + 1.1), layout="constrained")
    for place, row in enumerate(rows):
        low, high = row["interval"]
        ax.plot([low, high], [place, place], color="C0", linewidth=2)
        ax.plot(row["accuracy"], place, "o", color="C0")
        ax.text(1.02, place, f"{row['accuracy']:.3f}", va="center")
        if row["published"] is not None:
            ax.plot(row["published"], place, "x", color="C3")
    ax.plot([], [], "o", color="C0", label="here")
    if any(row["published"] for row in rows):
        ax.plot([], [], "x", color="C3", label="published")
    largest = np.bincount(problem.y).max() / len(problem.y)
    ax.axvline(largest, color="0.6", linestyle=":", label="always the largest class")
    ax.set_yticks(range(len(rows)), [_title_with_weights(row) for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(0, 1)
    ax.set_xlabel("accuracy" + (" on synthetic images" if problem.synthetic else ""))
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.45, -0.32), ncols=3)
    return figure


def _title_with_weights(row):
    """Return the name of a model, and below it the weights that its network started from."""
    if "weights" not in row["parameters_set"]:
        return row["title"]
    weights = row["parameters_set"]["weights"]
    shown = "random weights" if weights == "None" else f"weights: {Path(weights).name}"
    return f"{row['title']}\n{shown}"


def _out_of_fold(row, problem):
    """Truth and probabilities of the first repeat, in which each image was scored once."""
    scores = [s for s in row["scores"] if s["seed"] == row["scores"][0]["seed"]]
    tested = np.concatenate([s["rows"] for s in scores])
    return problem.y[tested], np.concatenate([s["probabilities"] for s in scores])


def _confusion(problem, rows):
    columns = min(3, len(rows))
    lines = -(-len(rows) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(3.4 * columns, 3.1 * lines), layout="constrained", squeeze=False
    )
    for ax in axes.flat[len(rows) :]:
        ax.set_visible(False)
    for ax, row in zip(axes.flat, rows, strict=False):
        truth, probabilities = _out_of_fold(row, problem)
        ConfusionMatrixDisplay.from_predictions(
            truth,
            probabilities.argmax(axis=1),
            labels=range(len(problem.names)),
            display_labels=problem.names,
            normalize="true",
            values_format=".2f",
            cmap="Blues",
            xticks_rotation=30,
            colorbar=False,
            ax=ax,
            im_kw=dict(vmin=0, vmax=1),
        )
        ax.set_title(row["title"], fontsize="medium")
    return figure


def _roc(problem, rows):
    classes = range(len(problem.names)) if len(problem.names) > 2 else [1]
    figure, axes = plt.subplots(
        1, len(classes), figsize=(3.9 * len(classes), 3.9), layout="constrained", squeeze=False
    )
    for ax, number in zip(axes.flat, classes, strict=True):
        for row in rows:
            truth, probabilities = _out_of_fold(row, problem)
            RocCurveDisplay.from_predictions(
                truth == number, probabilities[:, number], name=row["title"], ax=ax
            )
        ax.set_title(f"{problem.names[number]} against the rest", fontsize="medium")
        ax.set_xlabel("1 - specificity")
        ax.set_ylabel("sensitivity")
        ax.legend(fontsize="x-small", loc="lower right")
    return figure


def _calibration(problem, rows):
    figure, ax = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
    for row in rows:
        truth, probabilities = _out_of_fold(row, problem)
        CalibrationDisplay.from_predictions(
            truth, probabilities[:, 1], n_bins=5, name=row["title"], ax=ax
        )
    ax.set_xlabel(f"predicted probability of {problem.names[1]}")
    ax.set_ylabel(f"share of images that are {problem.names[1]}")
    ax.legend(fontsize="x-small", loc="upper left")
    return figure


def write(out, problem, rows, state, description):
    """Write Markdown, figures and the HTML page."""
    lines = cells(rows, problem)
    table = markdown_table(lines)
    parts = [
        f"```\n{state['command']}\n```",
        description,
        audit_text(state["audit"]),
        table,
        differences_text(state["differences"]),
        notes(rows),
    ]
    text = "\n\n".join(parts) + "\n"
    (out / "results.md").write_text(text, encoding="utf-8")
    drawn = figures(problem, rows)
    shutil.rmtree(out / "figures", ignore_errors=True)
    (out / "figures").mkdir()
    pictures = []
    for name, (figure, caption) in drawn.items():
        path = out / "figures" / name
        figure.savefig(path, dpi=110)
        plt.close(figure)
        pictures.append((path, caption))
    page = _page(problem, lines, notes(rows), pictures, state, description)
    (out / "report.html").write_text(page, encoding="utf-8")


def save(path, state):
    """Write JSON whole or not at all."""
    part = Path(f"{path}.part")
    part.write_text(json.dumps(state, separators=(",", ":")) + "\n", encoding="utf-8")
    part.replace(path)


def _audit(found):
    """The audit as HTML."""
    checks = "".join(
        f'<li class="{verdict}"><b>{html.escape(name)}</b> ({verdict}): '
        f"{html.escape(sentence)}</li>"
        for name, verdict, sentence in found["checks"]
    )
    table = _wide_table(_shortcut_cells(found)) if found["shortcuts"] else ""
    return (
        f"<h2>Audit</h2><p><b>{html.escape(found['conclusion'])}</b></p><ul>{checks}</ul>"
        f"{table}<h2>Comparison</h2>"
    )


def _differences(found):
    """Which differences were shown, as HTML."""
    sentences = "".join(f"<li>{html.escape(pair['sentence'])}</li>" for pair in found["pairs"])
    notes = html.escape(" ".join(found["notes"]))
    return (
        f"<h2>Differences</h2><p><b>{html.escape(found['conclusion'])}</b></p>"
        f'<ul>{sentences}</ul><p class="notes">{notes}</p>'
    )


def _wide_table(lines):
    """A table as HTML that can be scrolled sideways."""
    return f'<div class="wide">{html_table(lines)}</div>'


_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 80rem; padding: 1rem;
       color: #222; background: #fff }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: 0.9rem; white-space: nowrap }
th, td { padding: 0.3rem 0.7rem; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff }
figure { margin: 2rem 0 } img { max-width: 100%; height: auto }
figcaption, .notes { color: #555; font-size: 0.9rem }
pre { overflow-x: auto; background: #f5f5f5; padding: 0.7rem }
li.fault b { color: #b00020 } li.warning b { color: #8a5a00 }
"""


def _page(problem, lines, notes, pictures, state, description):
    shown = "\n".join(
        f'<figure><img alt="{html.escape(caption)}" src="data:image/png;base64,'
        f'{base64.b64encode(path.read_bytes()).decode()}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        for path, caption in pictures
    )
    versions = ", ".join(f"{name} {number}" for name, number in state["versions"].items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lung classifiers compared: {html.escape(problem.name)}</title>
<style>{_STYLE}</style></head><body>
<h1>Lung classifiers compared: {html.escape(problem.name)}</h1>
<p>{html.escape(description)}</p>
{_audit(state["audit"])}
{_wide_table(lines)}
<p class="notes">{html.escape(notes)}</p>
{_differences(state["differences"])}
{shown}
<h2>How it was made</h2>
<pre>{html.escape(state["command"])}</pre>
<p class="notes">{html.escape(versions)}</p>
</body></html>
"""
