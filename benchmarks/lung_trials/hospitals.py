"""Two simulated hospitals: a classifier learns in the first one, and is tried in the second."""

import numpy as np
from PIL import Image, ImageDraw
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from lungestimators import make_chest_xrays

from .planted import IMAGE_SIZE, narrow_collimation

DIFFICULTY = 0.9


def draw_hospital(n_images, share_of_sick, in_bed_if_sick, in_bed_if_healthy, gamma, seed):
    """Draw radiographs of healthy patients and of patients of type 1.

    Patients in bed are taken with a portable device: narrow collimation, the word BED, the chest
    larger and elsewhere in the image, and a harder exposure.

    Parameters
    ----------
    n_images : int
    share_of_sick : float
    in_bed_if_sick, in_bed_if_healthy : float
        Probabilities. Where they differ, the device tells the class.
    gamma : float
        Exponent of all grey values: the exposure of this hospital.
    seed : int

    Returns
    -------
    X : ndarray of shape (n_images, IMAGE_SIZE, IMAGE_SIZE), uint8
    y : ndarray of shape (n_images,), int
    """
    X, y = make_chest_xrays(
        n_images,
        weights=(1 - share_of_sick, share_of_sick, 0),
        difficulty=DIFFICULTY,
        image_size=IMAGE_SIZE,
        random_state=seed,
    )
    random = np.random.default_rng(seed)
    in_bed = random.random(n_images) < np.where(y == 1, in_bed_if_sick, in_bed_if_healthy)
    for row in np.flatnonzero(in_bed):
        X[row] = _portable(X[row], random)
    return np.rint(255 * (X / 255) ** gamma).astype(np.uint8), y


def _portable(image, random):
    """Return an image as of a portable device."""
    side = len(image)
    left, top = (random.uniform(low, high) * side for low, high in ((0.02, 0.06), (0.0, 0.04)))
    part = (left, top, left + 0.92 * side, top + 0.92 * side)
    moved = Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR, part)
    moved = Image.fromarray(narrow_collimation(np.asarray(moved), random))
    ImageDraw.Draw(moved).text((0.1 * side, 0.1 * side), "BED", fill=240)
    return np.rint(255 * (np.asarray(moved) / 255) ** 1.2).astype(np.uint8)


def first_and_second(n_images, seed, with_shortcut=True):
    """Draw the hospital to learn in, and another of other exposure and prevalence.

    In the first one, 80 % of the sick and 20 % of the healthy are in bed, or half of either without
    the shortcut; in the second one, 30 % of either.
    """
    in_bed = (0.8, 0.2) if with_shortcut else (0.5, 0.5)
    first = draw_hospital(n_images, 0.5, *in_bed, 1.0, seed)
    second = draw_hospital(n_images, 0.3, 0.3, 0.3, 0.8, seed + 1)
    return first, second


def auc_within_and_away(model, first, second, seed):
    """Return the AUC in the first hospital, by cross-validation, and in the second one."""
    (X, y), (X_away, y_away) = first, second
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    within = cross_val_predict(model, X, y, cv=folds, method="predict_proba")[:, 1]
    away = model.fit(X, y).predict_proba(X_away)[:, 1]
    return float(roc_auc_score(y, within)), float(roc_auc_score(y_away, away))
