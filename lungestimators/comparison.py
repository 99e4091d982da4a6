"""ModelComparison: what comparing models found, as text, as HTML and as plain data."""

import textwrap
from html import escape

NAMES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "roc_auc": "AUC"}
_WIDTH = 100


class ModelComparison:
    """What :func:`lungestimators.compare_models` found.

    Parameters
    ----------
    models : list of dict
    pairs : list of dict
    conclusion : str
    notes : list of str
    scoring : {"accuracy", "balanced_accuracy", "roc_auc"}
    unit : {"patient", "image"}
        What the bootstrap draws.
    out_of_fold : dict of {str: (y_true, y_proba)}

    Attributes
    ----------
    models : list of dict
        For each model ``model`` (its name), the means over the folds of ``accuracy``,
        ``balanced_accuracy``, ``roc_auc`` (macro, one against the rest, for more than two
        classes), ``log_loss`` and ``brier_score``; ``calibration_error`` (expected calibration
        error of the predicted class, ten bins) over all predictions; ``fit_seconds`` (median);
        ``low`` and ``high`` (95 % interval of the compared score), ``bootstrap_low`` and
        ``bootstrap_high`` (the same by resampling patients), ``roc_auc_low`` and
        ``roc_auc_high`` (likewise), ``fold_scores`` (the compared score in each fold). None where
        something does not exist, as a log loss without probabilities.
    pairs : list of dict
        For each pair ``first`` (the better) and ``second``, ``difference``, ``low``, ``high``
        (95 % interval of this difference alone), ``bootstrap_low``, ``bootstrap_high``, ``test``
        (what was done: one of the tests, or ``"permutation"`` where it stands in for McNemar's),
        ``pvalue``, ``adjusted_pvalue`` (Holm), ``shown`` (whether that is below 0.05),
        ``roc_auc_difference``, ``roc_auc_low``, ``roc_auc_high``, and a ``sentence``.
    conclusion : str
        Which model scored highest, and than which it was shown to be better.
    notes : list of str
        How the figures were made, and what is peculiar in them.
    scoring : str
        The compared score.
    """

    def __init__(self, models, pairs, conclusion, notes, scoring, unit, out_of_fold):
        self.models = models
        self.pairs = pairs
        self.conclusion = conclusion
        self.notes = notes
        self.scoring = scoring
        self._unit = unit
        self._out_of_fold = out_of_fold

    @property
    def sentences(self):
        """What each pair comes to, in words."""
        return [pair["sentence"] for pair in self.pairs]

    def out_of_fold(self, model):
        """Return what a model said of images that it was not trained on.

        Parameters
        ----------
        model : str
            Its name.

        Returns
        -------
        y_true : ndarray of shape (n_predictions,)
            Labels, fold after fold; an image appears once for each time it was tested.
        y_proba : ndarray of shape (n_predictions, n_classes)
            Probabilities, columns in the order of the sorted labels; None where the model has
            none. ``CalibrationDisplay.from_predictions(y_true == ill, y_proba[:, 1])`` draws how
            well they are calibrated.
        """
        return self._out_of_fold[model]

    def to_dict(self):
        """Return the comparison as plain Python that ``json.dumps`` takes.

        Returns
        -------
        dict
            ``scoring``, ``models``, ``pairs``, ``conclusion`` and ``notes``. Both lists of dict
            are tables that ``pandas.DataFrame`` takes.
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
        lines = _text_table(self._model_cells())
        if self.pairs:
            lines += ["", *_text_table(self._pair_cells())]
        lines += ["", *textwrap.wrap(self.conclusion, _WIDTH), ""]
        for text in (*self.sentences, *self.notes):
            lines += textwrap.wrap(text, _WIDTH, initial_indent="- ", subsequent_indent="  ")
        return "\n".join(lines)

    def _repr_html_(self):
        pairs = f"<ul>{''.join(f'<li>{escape(sentence)}</li>' for sentence in self.sentences)}</ul>"
        return (
            f"{_html_table(self._model_cells())}<p><b>{escape(self.conclusion)}</b></p>"
            f"{_html_table(self._pair_cells()) + pairs if self.pairs else ''}"
            f"<p><small>{'<br>'.join(map(escape, self.notes))}</small></p>"
        )

    def _model_cells(self):
        """Header and lines of the table of models, as text."""
        score = NAMES[self.scoring]
        others = [name for name in ("accuracy", "roc_auc") if name != self.scoring]
        header = ["model", score, "95 % interval", f"by {self._unit}"]
        for name in others:
            header += [NAMES[name]] + [f"by {self._unit}"] * (name == "roc_auc")
        header += ["log loss", "Brier", "calibration error", "fit s"]
        lines = [header]
        for row in self.models:
            line = [row["model"], _number(row[self.scoring]), _interval(row, "")]
            line += [_interval(row, "bootstrap_")]
            for name in others:
                line += [_number(row[name])]
                line += [_interval(row, "roc_auc_")] * (name == "roc_auc")
            line += [_number(row[key]) for key in ("log_loss", "brier_score", "calibration_error")]
            seconds = row["fit_seconds"]
            lines.append([*line, "-" if seconds is None else f"{seconds:.1f}"])
        return lines

    def _pair_cells(self):
        """Header and lines of the table of differences, as text."""
        header = ["difference", NAMES[self.scoring], "95 % interval", f"by {self._unit}"]
        lines = [[*header, "p", "p (Holm)", "shown"]]
        for pair in self.pairs:
            line = [f"{pair['first']} - {pair['second']}", f"{pair['difference']:+.3f}"]
            line += [_interval(pair, ""), _interval(pair, "bootstrap_")]
            for pvalue in (pair["pvalue"], pair["adjusted_pvalue"]):
                line.append(p_text(pvalue).removeprefix("p ").removeprefix("= "))
            lines.append([*line, "yes" if pair["shown"] else "no"])
        return lines


def p_text(pvalue):
    """Return p as it is written in a sentence."""
    return "p < 0.001" if pvalue < 0.001 else f"p = {pvalue:.3f}"


def _number(value):
    return "-" if value is None else f"{value:.3f}"


def _interval(row, prefix):
    low, high = row[f"{prefix}low"], row[f"{prefix}high"]
    return "-" if low is None else f"{low:.3f} to {high:.3f}"


def _text_table(lines):
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def padded(line):
        first = line[0].ljust(widths[0])
        return "  ".join([first, *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))])

    return [padded(line) for line in lines]


def _html_table(lines):
    def row(line, tag):
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in line) + "</tr>"

    body = "".join(row(line, "td") for line in lines[1:])
    return f"<table><thead>{row(lines[0], 'th')}</thead><tbody>{body}</tbody></table>"
