"""Check restored estimators of scikit-learn, whose own ``__setstate__`` checks nothing.

Where no network of ours is inside, the estimator is tried on one row. Around our networks the
structure is checked, since a trial would start a deep-learning framework.
"""

import warnings

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from .. import _compat
from . import classes
from .encoding import parameters_of

# Columns of a trial row; a file cannot ask for more.
_MOST_COLUMNS = 2**20
_METHODS = "predict_proba", "decision_function", "predict", "transform"


def check_part(name, part):
    """Raise unless a splitter or a part of a calibration has the attributes that it needs.

    Parameters
    ----------
    name : str
        Its class.
    part : object
        Made by its constructor.
    """
    if name != "_CalibratedClassifier":
        return  # a splitter, whose constructor checks
    n_calibrators = len(part.calibrators) if isinstance(part.calibrators, list) else 0
    right = (
        _is_fitted_classifier(part.estimator)
        and _are_classes(part.classes)
        and part.method in ("sigmoid", "isotonic", "temperature")
        and n_calibrators in (1, len(part.classes))
        and (n_calibrators == 1) == (len(part.classes) == 2 or part.method == "temperature")
    )
    calibrator = {
        "sigmoid": "_SigmoidCalibration",
        "isotonic": "IsotonicRegression",
        "temperature": "_TemperatureScaling",
    }
    if not right or any(
        classes.name_on_list(type(each)) != calibrator[part.method] or not vars(each)
        for each in part.calibrators
    ):
        raise ValueError("a calibrated classifier in it is damaged")


def check_estimator(name, estimator):
    """Raise unless an estimator of scikit-learn can do what it was restored for.

    An estimator without fitted attributes passes where its parameters are valid.

    Raises
    ------
    ValueError
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            _compat.sklearn_check_parameters(estimator)
            if name in _CHECKS:
                right = _CHECKS[name](estimator)
            else:
                right = not _has_fitted_attributes(estimator) or _passes_trial(estimator)
        except Exception as error:  # of any kind: the attributes are those of a stranger
            raise ValueError(f"a {name} in it is damaged: {error}") from error
    if not right:
        raise ValueError(f"a {name} in it is damaged")


def _has_fitted_attributes(estimator):
    """Return whether an estimator has attributes beside its parameters."""
    return bool(set(vars(estimator)) - set(parameters_of(estimator)))


def _has_own_inside(estimator):
    """Return whether an estimator of this package is inside another, at any depth."""
    if isinstance(estimator, BaseEstimator) or hasattr(estimator, "calibrators"):
        if classes.is_own_class(type(estimator).__name__):
            return True
        return any(map(_has_own_inside, vars(estimator).values()))
    if isinstance(estimator, dict):
        estimator = list(estimator.values())
    return isinstance(estimator, list | tuple) and any(map(_has_own_inside, estimator))


def _passes_trial(estimator):
    """Return whether an estimator answers for one row; an error in it is an error."""
    if _has_own_inside(estimator):
        return True
    check_is_fitted(estimator)
    n_columns = estimator.n_features_in_
    if type(n_columns) is not int or not 1 <= n_columns <= _MOST_COLUMNS:
        return False
    row = np.zeros((1, n_columns))
    for method in _METHODS:
        if hasattr(estimator, method):
            answer = np.asarray(getattr(estimator, method)(row))
            columns = len(estimator.classes_) if method == "predict_proba" else None
            if answer.shape[:1] != (1,) or (columns and answer.shape != (1, columns)):
                return False
            if answer.dtype.kind not in "biufUO" or (answer.dtype.kind == "O" and answer.ndim > 1):
                return False
    if hasattr(estimator, "classes_") and not _are_classes(estimator.classes_):
        return False
    return _are_names(getattr(estimator, "feature_names_in_", None), n_columns)


def _is_fitted(estimator):
    """Return whether a value is an estimator that was fitted."""
    if not isinstance(estimator, BaseEstimator):
        return False
    try:
        check_is_fitted(estimator)
    except Exception:  # a NotFittedError, or what an attribute of a stranger causes
        return False
    return True


def _is_fitted_classifier(estimator):
    """Return whether a value is a fitted estimator with classes."""
    return _is_fitted(estimator) and _are_classes(getattr(estimator, "classes_", None))


def _are_classes(values):
    """Return whether a value is an array of two or more different class labels."""
    return (
        isinstance(values, np.ndarray)
        and values.ndim == 1
        and values.dtype.kind in "biufUO"
        and len(values) >= 2
        and len(set(values.tolist())) == len(values)
    )


def _are_names(names, n_columns):
    """Return whether a value is None or the names of columns."""
    return names is None or (
        isinstance(names, np.ndarray)
        and names.shape == (n_columns,)
        and all(isinstance(name, str) for name in names)
    )


def _is_number(value):
    """Return whether a value is a float or a whole number of Python or NumPy."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _is_named_list(value):
    """Return whether a value is a list of pairs of a name and something, each name once."""
    return (
        isinstance(value, list)
        and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value)
        and all(isinstance(pair[0], str) for pair in value)
        and len({pair[0] for pair in value}) == len(value)
    )


def _check_pipeline(pipeline):
    if not _is_named_list(pipeline.steps) or not pipeline.steps:
        return False
    if pipeline.memory is not None:
        raise ValueError("memory is a folder of the computer that saved it")
    *before, (_, last) = pipeline.steps
    for _, step in before:
        if not (step in (None, "passthrough") or hasattr(step, "transform")):
            return False
    return isinstance(last, BaseEstimator) and _only(pipeline)


def _check_calibrated(calibrated):
    if not _has_fitted_attributes(calibrated):
        return True
    parts = calibrated.calibrated_classifiers_
    return (
        isinstance(parts, list)
        and len(parts) > 0
        and all(classes.name_on_list(type(part)) == "_CalibratedClassifier" for part in parts)
        and all(np.array_equal(part.classes, calibrated.classes_) for part in parts)
        and _only(calibrated, "calibrated_classifiers_", "classes_")
    )


def _check_voting(voting):
    if not _is_named_list(voting.estimators):
        return False
    if not _has_fitted_attributes(voting):
        return True
    used = [name for name, estimator in voting.estimators if estimator != "drop"]
    if not (
        isinstance(voting.estimators_, list)
        and len(voting.estimators_) == len(used) > 0
        and all(map(_is_fitted_classifier, voting.estimators_))
        and classes.name_on_list(type(voting.le_)) == "LabelEncoder"
        and _are_classes(voting.classes_)
        and np.array_equal(voting.le_.classes_, voting.classes_)
        and all(len(each.classes_) == len(voting.classes_) for each in voting.estimators_)
        and (voting.weights is None or len(voting.weights) == len(voting.estimators))
        and all(map(_is_number, [] if voting.weights is None else voting.weights))
        and _only(voting, "estimators_", "le_", "classes_")
    ):
        return False
    fitted = iter(voting.estimators_)
    voting.named_estimators_ = Bunch(
        **{
            name: estimator if estimator == "drop" else next(fitted)
            for name, estimator in voting.estimators
        }
    )
    return True


def _check_threshold(classifier):
    if not _has_fitted_attributes(classifier):
        return True
    inner = classifier.estimator_
    if not _is_fitted_classifier(inner) or len(inner.classes_) != 2:
        return False
    if hasattr(classifier, "pos_label"):
        label = classifier.pos_label
        known = label is None or label in inner.classes_.tolist()
        return known and _only(classifier, "estimator_")
    if not _is_number(classifier.best_threshold_):
        return False
    if not isinstance(classifier.scoring, str):
        raise ValueError("scoring must be a name")
    _compat.sklearn_make_curve_scorer(classifier)
    names = "estimator_", "_curve_scorer", "best_score_", "best_threshold_", "cv_results_"
    return _only(classifier, *names)


def _check_label_encoder(encoder):
    if not _has_fitted_attributes(encoder):
        return True
    names = "classes_", "y_type_", "sparse_input_"
    return _are_classes(encoder.classes_) and _only(encoder, *names)


def _check_frozen(frozen):
    return isinstance(frozen.estimator, BaseEstimator) and _only(frozen)


def _check_sigmoid(calibration):
    if not _has_fitted_attributes(calibration):
        return True
    return (
        _is_number(calibration.a_) and _is_number(calibration.b_) and _only(calibration, "a_", "b_")
    )


def _check_temperature(calibration):
    if not _has_fitted_attributes(calibration):
        return True
    return _is_number(calibration.beta_) and _only(calibration, "beta_")


def _check_isotonic(regression):
    if not _has_fitted_attributes(regression):
        return True
    return np.asarray(regression.predict(np.zeros(1))).shape == (1,)


def _only(estimator, *names):
    """Return whether an estimator has these fitted attributes alone, and those of its columns."""
    found = set(vars(estimator)) - set(parameters_of(estimator))
    n_columns = vars(estimator).get("n_features_in_", 1)
    if type(n_columns) is not int or n_columns < 1:
        return False
    if not _are_names(vars(estimator).get("feature_names_in_"), n_columns):
        return False
    return found <= {*names, "n_features_in_", "feature_names_in_"}


_CHECKS = {
    "CalibratedClassifierCV": _check_calibrated,
    "FixedThresholdClassifier": _check_threshold,
    "FrozenEstimator": _check_frozen,
    "IsotonicRegression": _check_isotonic,
    "LabelBinarizer": _check_label_encoder,
    "LabelEncoder": _check_label_encoder,
    "Pipeline": _check_pipeline,
    "TunedThresholdClassifierCV": _check_threshold,
    "VotingClassifier": _check_voting,
    "_SigmoidCalibration": _check_sigmoid,
    "_TemperatureScaling": _check_temperature,
}
