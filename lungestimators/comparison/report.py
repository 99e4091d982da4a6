"""ModelComparison: scores and differences of models, as text, as HTML and as plain data."""

import textwrap
from html import escape
from typing import Any, NamedTuple

import numpy as np

from ..text_tables import html_table, text_table
from .wording import NAMES, p_value_for_sentence

_WIDTH = 100


class _TruthAndProbabilities(NamedTuple):
    y_true: np.ndarray
    y_proba: np.ndarray | None


class OutOfFold(_TruthAndProbabilities):
    """Predictions of a model for images that it was not trained on: ``y_true, y_proba``.

    Attributes
    ----------
    y_true : ndarray of shape (n_predictions,)
        Labels, fold after fold; an image appears once for each time it was tested.
    y_proba : ndarray of shape (n_predictions, n_classes), or None
        Probabilities, columns in the order of the sorted labels; None where the model has none.
    y_pred : ndarray of shape (n_predictions,)
        Predicted labels.
    row : ndarray of shape (n_predictions,), int
        Row of X of each image.
    repeat : ndarray of shape (n_predictions,), int
        How often the image was tested in an earlier fold: 0 for the first time.
    fold : ndarray of shape (n_predictions,), int
        Fold, in the order of the splits, over all repeats.
    """

    def __new__(cls, y_true, y_proba, y_pred=None, row=None, repeat=None, fold=None):
        found = super().__new__(cls, y_true, y_proba)
        found.y_pred, found.row, found.repeat, found.fold = y_pred, row, repeat, fold
        return found


class ModelComparison:
    """Scores and differences of the models that :func:`lungestimators.compare_models` compared.

    Parameters
    ----------
    models : list of dict
    pairs : list of dict
    conclusion : str
    notes : list of str
    scoring : {"accuracy", "balanced_accuracy", "roc_auc"}
    unit : {"group", "image"}
        What the bootstrap draws.
    one_test_set : bool
        Whether all predictions are of the same images, as those of one split are.
    out_of_fold : dict of {str: OutOfFold}

    Attributes
    ----------
    models : list of dict
        For each model ``model`` (its name), the means over the folds of ``accuracy``,
        ``balanced_accuracy``, ``roc_auc`` (macro, one against the rest, for more than two
        classes), ``log_loss`` and ``brier_score``; ``calibration_error`` (expected calibration
        error of the predicted class, ten bins) over all predictions; ``fit_seconds`` (median);
        ``low`` and ``high`` (95 % interval of the compared score; by the spread between folds
        where there are folds), ``bootstrap_low`` and ``bootstrap_high`` (the same by drawing groups
        or images again), ``roc_auc_low`` and ``roc_auc_high`` (likewise, of the AUC),
        ``fold_scores`` (the compared score in each fold). None where something does not exist, as
        a log loss without probabilities.
    pairs : list of dict
        For each pair ``first`` (the better) and ``second``, ``difference``, ``low``, ``high``
        (95 % interval of this difference alone), ``bootstrap_low``, ``bootstrap_high``, ``test``
        (what was done: one of the tests, or ``"permutation"`` where it stands in for McNemar's),
        ``pvalue``, ``adjusted_pvalue`` (Holm), ``shown`` (whether that is below 0.05),
        ``roc_auc_difference``, ``roc_auc_low``, ``roc_auc_high`` (by the bootstrap; its p is not
        computed), and a ``sentence``.
    conclusion : str
        Which model scored highest, and which others it was shown to be better than.
    notes : list of str
        How the figures were made, and what to know before they are believed.
    scoring : str
        The compared score.
    """

    def __init__(self, models, pairs, conclusion, notes, scoring, unit, one_test_set, out_of_fold):
        self.models = models
        self.pairs = pairs
        self.conclusion = conclusion
        self.notes = notes
        self.scoring = scoring
        self._unit = unit
        self._one_test_set = one_test_set
        self._out_of_fold = out_of_fold

    @property
    def sentences(self) -> list[str]:
        """For each pair a sentence that says whether its difference was shown."""
        return [pair["sentence"] for pair in self.pairs]

    def out_of_fold(self, model: str) -> OutOfFold:
        """Return the predictions of a model for images that it was not trained on.

        Parameters
        ----------
        model : str
            Name of the model.

        Returns
        -------
        OutOfFold
            Two arrays, ``y_true, y_proba``, whose further attributes say where each prediction
            comes from: ``row`` of X, ``repeat``, ``fold``, and the predicted label ``y_pred``.
            ``CalibrationDisplay.from_predictions(y_true == ill, y_proba[:, 1])`` draws how
            well the probabilities are calibrated.

        Raises
        ------
        KeyError
            There is no such model.

        Examples
        --------
        >>> from lungestimators import compare_predictions
        >>> y, split = ["healthy", "ill"] * 4, (range(4), range(4, 8))
        >>> found = compare_predictions(y, {"always": [(["ill"] * 4,)]}, [split])
        >>> said = found.out_of_fold("always")
        >>> said.row, said.y_true[0], said.y_pred[0]
        (array([4, 5, 6, 7]), np.str_('healthy'), np.str_('ill'))
        """
        if model not in self._out_of_fold:
            raise KeyError(f"there is no model {model!r}: there are {list(self._out_of_fold)}")
        return self._out_of_fold[model]

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain Python that ``json.dumps`` takes.

        Returns
        -------
        dict
            ``scoring``, ``models``, ``pairs``, ``conclusion`` and ``notes``.
            ``pandas.DataFrame`` makes tables of ``models`` and of ``pairs``.
        """
        return dict(
            scoring=self.scoring,
            models=self.models,
            pairs=self.pairs,
            conclusion=self.conclusion,
            notes=self.notes,
        )

    def __repr__(self):
        return f"<ModelComparison of {len(self.models)} models by {NAMES[self.scoring]}>"

    def __str__(self):
        lines = text_table(self._model_cells(), align="right")
        if self.pairs:
            lines += ["", *text_table(self._pair_cells(), align="right")]
        lines += ["", *textwrap.wrap(self.conclusion, _WIDTH), ""]
        for text in (*self.sentences, *self.notes):
            lines += _wrap_comparison_report_note(text)
        return "\n".join(lines)

    def _repr_html_(self):
        pairs = f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in self.sentences)}</ul>"
        return (
            f"{html_table(self._model_cells())}<p><b>{escape(self.conclusion)}</b></p>"
            f"{html_table(self._pair_cells()) + pairs if self.pairs else ''}"
            f"<p><small>{'<br>'.join(map(escape, self.notes))}</small></p>"
        )

    def _model_cells(self):
        """Return the header and the lines of the table of models, as text."""
        score = NAMES[self.scoring]
        others = [name for name in ("accuracy", "roc_auc") if name != self.scoring]
        # Of one test set there is one interval: folds that it could be made from are missing.
        intervals = ["95 % interval"]
        if not self._one_test_set:
            intervals = ["95 % by folds", f"95 % by {self._unit}s"]
        header = ["model", score, *intervals]
        for name in others:
            header += [NAMES[name]] + intervals[-1:] * (name == "roc_auc")
        header += ["log loss", "Brier", "calibration error", "fit s"]
        lines = [header]
        for row in self.models:
            line = [row["model"], _score_in_comparison_report(row[self.scoring])]
            line += [
                _interval_in_comparison_report(row, prefix)
                for prefix in ("", "bootstrap_")[: len(intervals)]
            ]
            for name in others:
                line += [_score_in_comparison_report(row[name])]
                line += [_interval_in_comparison_report(row, "roc_auc_")] * (name == "roc_auc")
            line += [
                _score_in_comparison_report(row[key])
                for key in ("log_loss", "brier_score", "calibration_error")
            ]
            seconds = row["fit_seconds"]
            lines.append([*line, "-" if seconds is None else f"{seconds:.1f}"])
        return lines

    def _pair_cells(self):
        """Return the header and the lines of the table of differences, as text."""
        by_folds = any(pair["test"] == "corrected_t" for pair in self.pairs)
        by_unit = "95 % interval" if self._one_test_set else f"95 % by {self._unit}s"
        several = len(self.pairs) > 1
        with_auc = self.scoring != "roc_auc" and any(
            pair["roc_auc_difference"] is not None for pair in self.pairs
        )
        header = ["difference", NAMES[self.scoring], *["95 % by folds"] * by_folds, by_unit]
        header += ["p", *["p (Holm)"] * several, "shown", *["AUC", by_unit] * with_auc]
        lines = [header]
        for pair in self.pairs:
            line = [
                f"{pair['first']} minus {pair['second']}",
                _difference_in_comparison_report(pair["difference"]),
            ]
            if by_folds:
                line.append(
                    _interval_in_comparison_report(pair, "")
                    if pair["test"] == "corrected_t"
                    else "-"
                )
            line.append(_interval_in_comparison_report(pair, "bootstrap_"))
            for pvalue in (pair["pvalue"], pair["adjusted_pvalue"])[: 1 + several]:
                line.append(p_value_for_sentence(pvalue).removeprefix("p ").removeprefix("= "))
            line.append("yes" if pair["shown"] else "no")
            if with_auc:
                line += [
                    _difference_in_comparison_report(pair["roc_auc_difference"]),
                    _interval_in_comparison_report(pair, "roc_auc_"),
                ]
            lines.append(line)
        return lines


def _score_in_comparison_report(value):
    return "-" if value is None else f"{value:.3f}"


def _difference_in_comparison_report(value):
    return "-" if value is None else f"{value:+z.3f}"


def _wrap_comparison_report_note(text):
    """Break a text into lines, never between a number and its ``%`` or ``p =``."""
    for glued in ("95 %", "p = ", "p < "):
        text = text.replace(glued, glued.replace(" ", "\0"))
    lines = textwrap.wrap(text, _WIDTH, initial_indent="- ", subsequent_indent="  ")
    return [line.replace("\0", " ") for line in lines]


def _interval_in_comparison_report(row, prefix):
    low, high = row[f"{prefix}low"], row[f"{prefix}high"]
    return "-" if low is None else f"{low:z.3f} to {high:z.3f}"
