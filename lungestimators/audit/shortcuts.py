"""A check for shortcuts: whether a model can tell the class without looking at the lung."""

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier

from ..text_tables import counted
from .cross_validation import ENLARGE, ERROR, MATERIAL, TOO_SMALL, Score, cross_validate
from .report import Check
from .views import BORDER, views_of_images

_TREES = 100

# A coarse view of the lung matters when it wins so much of what the estimator wins over chance, and
# the estimator so much of all that there is.
_NEARLY_ALL, _HIGH = 0.8, 0.6
# Images are few where a shortcut is found only if it has more than this of all there is above
# chance: as of three classes of 4 images.
_WEAK = 1 / 3
FEW = "there are too few images to find any but a strong shortcut"

_MASK_LUNGS = (
    'LungFields("mask") takes away what is not lung; what is left in the border is lung then, and '
    "disease may tell the class there."
)


def check_shortcuts(evidence):
    """Check that no view without the lung tells the class, and no coarse view nearly as well."""
    folds = evidence.folds
    if folds.n_folds < 2:
        return Check("shortcuts", "skipped", TOO_SMALL, [], "", ENLARGE)
    real = evidence.cross_validated.score
    permuted = evidence.cross_validated_on_permuted_labels.score
    views = views_of_images(evidence.summaries_to_learn_from, evidence.source_to_learn_from)
    scores = [_score_shortcut(view, evidence) for view in views]
    n_tried = sum(score is not None for score in scores) + 1
    limit, limit_of_lung = _limits_of_shortcuts(folds.chance, real)
    rows = [
        _row_of_shortcut("estimator", real, True),
        _row_of_shortcut("estimator, permuted labels", permuted, True),
    ]
    is_fault = permuted.is_clearly_above(folds.chance, n_tried)
    rows[1] |= {"limit": limit, "verdict": "fault" if is_fault else "ok"}
    for view, score in zip(views, scores, strict=True):
        of_view = limit_of_lung if view.shows_lung else limit
        rows.append(_judge_shortcut(view, score, of_view, folds.chance, n_tried))
    return _sum_up_shortcuts(folds, views, rows, real, n_tried)


def _score_shortcut(view, evidence):
    """Cross-validate trees, which find a small bright mark among many features, on one view.

    Returns
    -------
    Score, or None where the view has no features
    """
    if view.features is None:
        return None
    evidence.say_in_audit(f"looking for a shortcut: {view.name}")
    folds = evidence.folds
    trees = ExtraTreesClassifier(
        _TREES, min_samples_leaf=2, class_weight="balanced", random_state=folds.seed
    )
    numbers = np.arange(len(folds.classes))
    return cross_validate(trees, view.features, folds, evidence.splits, numbers).score


def _limits_of_shortcuts(chance, real):
    """Return the limit of views without the lung, and of views that show the lung, too.

    The latter is None where the estimator is not good enough to compare with.
    """
    possible, won = 1 - chance, real.mean - chance
    limit_of_lung = chance + _NEARLY_ALL * won if won >= _HIGH * possible else None
    return chance + MATERIAL * possible, limit_of_lung


def _judge_shortcut(view, score, limit, chance, n_tried):
    """Return the row of a view with its limit and its verdict."""
    row = _row_of_shortcut(view.name, score, view.shows_lung)
    if score is None or limit is None:
        return row | {"verdict": "skipped"}
    is_found = score.is_clearly_above(chance, n_tried)
    if view.shows_lung:
        is_found = is_found and score.mean >= limit
    found = "warning" if view.shows_lung else "fault"
    return row | {"limit": limit, "verdict": found if is_found else "ok"}


def _sum_up_shortcuts(folds, views, rows, real, n_tried):
    """Return the Check that the rows of all views come to.

    Parameters
    ----------
    folds : Folds
    views : list of View
    rows : list of dict
        The estimator, the estimator with permuted labels, and each view.
    real : Score
        Of the estimator with the labels as they are.
    n_tried : int
    """
    possible = 1 - folds.chance
    limit, limit_of_lung = _limits_of_shortcuts(folds.chance, real)
    words = [
        f"{view.name.capitalize()} were not tried: {view.why_none}."
        for view in views
        if view.features is None
    ]
    advice, whys, verdict = [], [], "ok"
    permuted, of_views = rows[1], rows[2:]
    told = [row for row in of_views if row["verdict"] == "fault"]
    coarse = [row for row in of_views if row["verdict"] == "warning"]
    lucky = [row for row in of_views if row["verdict"] == "ok" and row["score"] >= row["limit"]]
    if coarse:
        verdict = "warning"
        words.insert(
            0,
            f"The estimator ({real.mean:.3f}) is hardly better than "
            f"{_shortcuts_with_scores(coarse)}: it may see no more than the exposure, "
            "the position or the size of the patient.",
        )
        advice.append("Look at what a model sees, and test it on images of another source.")
        whys.append("the estimator may see no more than a coarse view shows")
    if told:
        verdict = "fault"
        words.insert(0, f"The class can be told without the lung: {_shortcuts_with_scores(told)}.")
        advice.insert(
            0,
            "Find out in what the classes differ beside the lung (source, device, format, marks), "
            "and crop it, convert it, or take classes of one source.",
        )
        if any(row["seen"] == BORDER for row in told):
            advice.insert(1, _MASK_LUNGS)
        whys.insert(0, "the class can be told from something else than the lung")
    if permuted["verdict"] == "fault":
        verdict = "fault"
        words.append(
            f"With permuted labels the estimator scores {permuted['score']:.3f}, above chance: "
            "something leaks through the procedure itself."
        )
        advice.append("Look for what the estimator keeps from one fit to the next.")
        whys.append("the estimator recognises labels that it cannot know")
    if verdict == "ok":
        words.insert(0, "No view without the lung tells the class.")
    if lucky:
        words.append(f"Above the limit, but perhaps by luck: {_shortcuts_with_scores(lucky)}.")
    if limit_of_lung is None:
        least = folds.chance + _HIGH * possible
        is_above = real.is_clearly_above(folds.chance, n_tried)
        chance = "" if is_above else "not clearly above chance, and "
        words.append(
            f"Views that show the lung, too, were not judged: the estimator ({real.mean:.3f}) is "
            f"{chance}below {least:.3f}."
        )
    weakest = _weakest_shortcut_found(folds.chance, real.n_groups, n_tried)
    few = weakest is None or weakest > folds.chance + _WEAK * possible
    if weakest is None:
        words.append("The images are few: not even a view that tells every image would be found.")
    elif few:
        words.append(
            f"The images are few: only a view that scores about {weakest:.3f} or more is found, "
            "and a weaker shortcut may be there."
        )
    if few and verdict == "ok":
        verdict = "skipped" if weakest is None else "warning"
        advice.append("Add images: so few cannot show what a weaker shortcut does.")
        whys.append(FEW)
    words.append(
        f"Balanced accuracy in {folds.n_folds} folds by group, "
        f"{counted(len(folds.rows), 'image')}; chance is {folds.chance:.3f}; low and high are a "
        "95 % interval."
    )
    rule = _shortcuts_rule(limit, weakest)
    return Check(
        "shortcuts", verdict, " ".join(words), rows, rule, " ".join(advice), "; ".join(whys)
    )


def _shortcuts_rule(limit, weakest):
    """Say from which score on a view is a fault or a warning."""
    surely = "" if weakest is None else f", which takes about {weakest:.3f} with these images"
    return (
        f"A view in which no lung is seen is a fault from its limit on: {limit:.3f}, "
        f"{100 * MATERIAL:g} % of the way from chance to 1. So is the estimator with permuted "
        "labels. A view in which the lung is seen, too, is a warning from another limit on: "
        f"{100 * _NEARLY_ALL:g} % of what the estimator wins over chance. It is skipped where the "
        f"estimator is not good enough to compare with, below {100 * _HIGH:g} % of the way. "
        f"What is found must be above chance by more than luck ({100 * ERROR:g} % over all views)"
        f"{surely}."
    )


def _weakest_shortcut_found(chance, n_groups, n_tried):
    """Return the lowest score that is clearly above chance, with the same recall in each class.

    None where not even a score of 1 is.
    """
    for recall in np.linspace(chance, 1, 1001):
        score = Score(np.full(len(n_groups), recall), n_groups)
        if score.is_clearly_above(chance, n_tried):
            return float(recall)
    return None


def _row_of_shortcut(name, score, shows_lung):
    """Return a row of the table of scores, without its limit and its verdict."""
    low, high = (None, None) if score is None else score.interval()
    return {
        "seen": name,
        "lung": "seen" if shows_lung else "not seen",
        "score": None if score is None else score.mean,
        "low": low,
        "high": high,
        "limit": None,
        "verdict": "",
    }


def _shortcuts_with_scores(rows):
    """Name views with their scores, for a sentence."""
    return ", ".join(f"{row['seen']} ({row['score']:.3f})" for row in rows)
