"""Tasks to learn, each within the images of one collection.

No task asks for what tells one collection from another: a network that knows the hospital, or
children from adults, gains nothing.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

_NIH_FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
)


class Task(NamedTuple):
    """Labels of some of the images.

    Attributes
    ----------
    name : str
    labels : ndarray of shape (n_images,), int64, or (n_images, n_labels), float32
        Classes, -1 for none; or labels of which several may be 1, NaN for none.
    n_outputs : int
    """

    name: str
    labels: np.ndarray
    n_outputs: int


def list_tasks(rows):
    """Return the tasks of images whose rows of the index are given."""
    return [
        _classes("Kermany: normal, bacteria, virus", rows, _class_of_kermany, 3),
        _classes("NIH: a finding or none", rows, _any_finding_of_nih, 2),
        _findings_of_nih(rows),
        _classes("Hannover: projection", rows, _projection_of_hannover, 2),
        _classes("synthetic: class", rows, _class_of_synthetic, 3),
    ]


def _classes(name, rows, class_of, n_classes):
    labels = np.array([class_of(row) for row in rows], np.int64)
    return Task(name, labels, n_classes)


def _class_of_kermany(row):
    if row["source"] != "kermany_train":
        return -1
    return ("normal", "bacteria", "virus").index(row["labels"])


def _any_finding_of_nih(row):
    """Return 0 for an image without a finding, 1 for one with; the radiologists' reading counts."""
    if row["source"] != "nih_chestxray14":
        return -1
    return 0 if row["rsna_normal"] == "1" or row["labels"] == "No_Finding" else 1


def _findings_of_nih(rows):
    labels = np.full((len(rows), len(_NIH_FINDINGS)), np.nan, np.float32)
    for number, row in enumerate(rows):
        if row["source"] == "nih_chestxray14" and row["rsna_normal"] != "1":
            found = row["labels"].split("|")
            labels[number] = [finding in found for finding in _NIH_FINDINGS]
    return Task("NIH: findings", labels, len(_NIH_FINDINGS))


def _projection_of_hannover(row):
    return ("ap", "pa").index(row["projection"]) if row["source"] == "hannover_covid" else -1


def _class_of_synthetic(row):
    return int(row["labels"]) if row["source"] == "synthetic" else -1


def loss_of_task(scores, labels):
    """Return the mean loss of a batch's images with labels, 0 where none has.

    Parameters
    ----------
    scores : Tensor of shape (n_images, n_outputs)
    labels : Tensor
        As in :class:`Task`.
    """
    if labels.ndim == 1:
        known = labels >= 0
        losses = functional.cross_entropy(
            scores[known], labels[known], reduction="none", label_smoothing=0.05
        )
    else:
        known = ~torch.isnan(labels[:, 0])
        losses = functional.binary_cross_entropy_with_logits(
            scores[known], labels[known], reduction="none"
        ).mean(1)
    # The sum over a batch of fixed size: a source weighs as many images as it has.
    return losses.sum() / len(labels)
