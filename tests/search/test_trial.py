"""A trial of a search: epochs, folds, pruning, and what is computed once for all of them."""

import math
import shutil
import warnings

import keras
import numpy as np
import optuna
import optuna_integration
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import Pipeline as ImbalancedPipeline
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import NopPruner
from optuna.samplers import GridSampler
from PIL import Image
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.metrics import get_scorer
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler

from lungestimators import (
    BackboneClassifier,
    BorderCrop,
    ImageReader,
    OptunaSearch,
    clear_feature_cache,
    feature_cache_info,
    search_space,
)

RATES = {"learning_rate": FloatDistribution(1e-3, 1e-1, log=True)}
FOLDS = StratifiedKFold(2)


def search(estimator, space=RATES, **options):
    """Three trials of two folds each."""
    options = {"cv": FOLDS, "n_trials": 3, "random_state": 0, "pruner": NopPruner(), **options}
    return OptunaSearch(estimator, space, **options)


class Curve:
    """A callback that scores every epoch on given images, and stops after one of them."""

    def __init__(self, X, y, metrics, last=math.inf):
        self.scorers = [get_scorer(metric) for metric in metrics]
        self.data = X, y
        self.last = last
        self.scores = []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name != "epoch":
            return False
        self.scores.append([scorer(fitted_estimator, *self.data) for scorer in self.scorers])
        return len(self.scores) == self.last


def test_the_epoch_that_is_best_over_all_folds_counts(cnn, squares):
    X, y = squares
    metrics = ["accuracy", "neg_log_loss"]
    found = search(cnn, scoring=metrics, refit="neg_log_loss").fit(X, y)
    best = clone(cnn).set_params(**found.best_params_)
    curves = []
    for train, test in FOLDS.split(X, y):
        curve = Curve(X[test], y[test], metrics)
        clone(best).set_callbacks(curve).fit(X[train], y[train])
        curves.append(curve.scores)
    means = np.mean(curves, axis=0)
    epoch = means[:, 1].argmax()
    assert found.best_epoch_ == epoch + 1
    assert found.best_score_ == means[epoch, 1]
    assert found.cv_results_["mean_test_accuracy"][found.best_index_] == means[epoch, 0]
    np.testing.assert_array_equal(found.cv_results_["n_epochs"], 2 * cnn.epochs)


def test_the_final_fit_stops_at_the_best_epoch(cnn, squares):
    X, y = squares
    y = np.random.default_rng(0).permutation(y)  # there is nothing to learn but these images
    found = search(cnn.set_params(epochs=5), scoring="neg_log_loss").fit(X, y)
    assert found.best_epoch_ < 5
    stop = Curve(X, y, ["accuracy"], last=found.best_epoch_)
    expected = clone(cnn).set_params(**found.best_params_).set_callbacks(stop).fit(X, y)
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    assert found.best_estimator_.n_iter_ == found.best_epoch_
    assert found.best_estimator_.fit(X, y).n_iter_ == 5


@pytest.mark.parametrize("epochs", [3, 25])
def test_every_trial_has_twenty_steps_a_fold(cnn, squares, epochs):
    found = search(cnn.set_params(epochs=epochs), n_trials=1).fit(*squares)
    (trial,) = found.study_.trials
    assert list(trial.intermediate_values) == list(range(1, 41))
    assert trial.intermediate_values[40] == trial.value
    assert found.cv_results_["n_epochs"] == [2 * epochs]


@pytest.mark.parametrize(("step", "n_epochs"), [(4, 1), (5, 1), (6, 2), (20, 4), (21, 5)])
def test_a_trial_is_pruned_in_the_middle_of_a_fold(cnn, squares, step, n_epochs):
    class AtStep(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            return trial.number == 1 and trial.last_step >= step

    found = search(cnn, pruner=AtStep(), n_trials=2).fit(*squares).cv_results_
    assert found["state"].tolist() == ["complete", "pruned"]
    assert found["n_epochs"].tolist() == [8, n_epochs]
    assert np.isfinite(found["split0_test_score"][1]) == (n_epochs >= 4)


@pytest.mark.slow
def test_pruning_halves_the_epochs_and_finds_as_good_a_trial(cnn, squares):
    space = {"learning_rate": FloatDistribution(1e-6, 1e-1, log=True)}
    sampler = optuna.samplers.RandomSampler(seed=0)
    options = dict(n_trials=30, sampler=sampler, scoring="neg_log_loss", refit=False)
    full = search(cnn, space, **options).fit(*squares)
    pruned = search(cnn, space, pruner=None, **options).fit(*squares)
    assert pruned.cv_results_["n_epochs"].sum() <= full.cv_results_["n_epochs"].sum() / 2
    assert pruned.best_score_ == full.best_score_


def test_a_pipeline_is_looked_at_through_its_steps(cnn, squares):
    X, y = squares
    crop = BorderCrop(0.1)
    space = {f"cnnclassifier__{name}": value for name, value in RATES.items()}
    found = search(make_pipeline(crop, cnn), space).fit(X, y)
    expected = search(cnn).fit(crop.fit_transform(X), y)
    assert found.best_epoch_ == expected.best_epoch_
    np.testing.assert_array_equal(
        found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
    np.testing.assert_array_equal(found.predict(X), expected.predict(crop.transform(X)))


@pytest.fixture
def flat_rows(squares):
    """34 rows of 256 pixels, ten of them of the rarer class."""
    X, y = squares
    rows = np.r_[np.flatnonzero(y == "clear"), np.flatnonzero(y == "opaque")[:10]]
    return X[rows].reshape(len(rows), -1), y[rows]


PIPELINES = {
    "a sampler before the classifier": lambda clf: ImbalancedPipeline(
        [("scale", MinMaxScaler()), ("over", RandomOverSampler(random_state=0)), ("clf", clf)]
    ),
    "a sampler alone": lambda clf: ImbalancedPipeline(
        [("over", RandomOverSampler(random_state=0)), ("clf", clf)]
    ),
    "a sampler first": lambda clf: ImbalancedPipeline(
        [("over", RandomOverSampler(random_state=0)), ("scale", MinMaxScaler()), ("clf", clf)]
    ),
    "passthrough": lambda clf: Pipeline(
        [("none", None), ("scale", MinMaxScaler()), ("through", "passthrough"), ("clf", clf)]
    ),
    "a union": lambda clf: Pipeline(
        [("scale", FeatureUnion([("a", MinMaxScaler())])), ("clf", clf)]
    ),
    "a pipeline in a pipeline": lambda clf: Pipeline(
        [
            ("scale", MinMaxScaler()),
            (
                "clf",
                ImbalancedPipeline([("over", RandomOverSampler(random_state=0)), ("clf", clf)]),
            ),
        ]
    ),
}


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("make", PIPELINES.values(), ids=PIPELINES)
def test_folds_are_scored_as_scikit_learn_scores_them(make, cached, cnn, flat_rows, tmp_path):
    pipeline = make(cnn.set_params(image_shape=(16, 16), epochs=1))
    if cached:
        pipeline.set_params(memory=str(tmp_path))
    name = next(n for n in ("clf__clf__dropout", "clf__dropout") if n in pipeline.get_params())
    space = {name: CategoricalDistribution([0.5])}
    found = search(pipeline, space, n_trials=1, scoring="neg_log_loss").fit(*flat_rows)
    scores = cross_val_score(pipeline, *flat_rows, cv=FOLDS, scoring="neg_log_loss")
    assert found.study_.trials[0].intermediate_values[20] == scores[0]
    assert found.best_score_ == np.mean(scores)
    X, _ = flat_rows
    expected = clone(pipeline).fit(*flat_rows)
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))


def test_a_scorer_sees_the_whole_pipeline_at_every_epoch(cnn, flat_rows):
    seen = []

    def score(pipeline, X, y):
        assert isinstance(pipeline, Pipeline)
        assert pipeline.named_steps["scale"].data_max_.shape == (256,)
        seen.append(pipeline.predict_proba(X))
        np.testing.assert_allclose(pipeline.predict_proba(X[:2]), seen[-1][:2], atol=1e-6)
        return get_scorer("neg_log_loss")(pipeline, X, y)

    pipeline = Pipeline([("scale", MinMaxScaler()), ("clf", cnn.set_params(image_shape=(16, 16)))])
    space = {"clf__dropout": CategoricalDistribution([0.5])}
    search(pipeline, space, n_trials=1, scoring=score, refit=False).fit(*flat_rows)
    X, y = flat_rows
    for fold, (train, test) in enumerate(FOLDS.split(X, y)):
        expected = clone(pipeline).fit(X[train], y[train]).predict_proba(X[test])
        np.testing.assert_array_equal(seen[4 * fold + 3], expected)
    assert len(seen) == 8


def test_rows_to_score_are_transformed_once_a_fold(cnn, flat_rows):
    transformed = []

    def count(X):
        transformed.append(len(X))
        return X

    pipeline = make_pipeline(FunctionTransformer(count), cnn.set_params(image_shape=(16, 16)))
    space = {"cnnclassifier__dropout": CategoricalDistribution([0.5])}
    search(pipeline, space, n_trials=1, refit=False).fit(*flat_rows)
    assert transformed == [17] * 4  # the rows to train on and those to score on, of two folds


class Brighter(TransformerMixin, BaseEstimator):
    """Takes metadata when it transforms."""

    def fit(self, X, y=None, gain=None):
        self.fitted_ = True
        return self

    def transform(self, X, gain=None):
        return X if gain is None else X * np.asarray(gain)[:, None]

    def fit_transform(self, X, y=None, gain=None):
        return self.fit(X, y).transform(X, gain)


def test_metadata_reaches_the_steps_at_every_epoch(cnn, flat_rows):
    X, y = flat_rows
    metadata = dict(gain=np.linspace(0.1, 2, len(y)), sample_weight=np.linspace(2, 0.1, len(y)))
    with config_context(enable_metadata_routing=True):
        brighter = Brighter().set_fit_request(gain=True).set_transform_request(gain=True)
        clf = cnn.set_params(image_shape=(16, 16), epochs=1)
        clf.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipeline = Pipeline([("brighter", brighter), ("clf", clf)])
        space = {"clf__dropout": CategoricalDistribution([0.5])}
        found = search(pipeline, space, n_trials=1, refit=False).fit(X, y, **metadata)
        scores = cross_val_score(pipeline, X, y, cv=FOLDS, params=metadata)
    assert found.study_.trials[0].intermediate_values[20] == scores[0]
    assert found.best_score_ == scores.mean()


def test_with_early_stopping_the_classifier_chooses_its_epoch(cnn, squares):
    X, y = squares
    cnn.set_params(early_stopping=True, validation_fraction=0.25)
    found = search(cnn, n_trials=1).fit(X, y)
    assert found.best_epoch_ is None
    assert list(found.study_.trials[0].intermediate_values) == [20, 40]
    best = clone(cnn).set_params(**found.best_params_)
    scores = [
        clone(best).fit(X[train], y[train]).score(X[test], y[test])
        for train, test in FOLDS.split(X, y)
    ]
    assert found.best_score_ == np.mean(scores)


@pytest.mark.parametrize("epochs", [4, 100])
def test_a_fold_that_a_callback_ends_counts_as_it_is_then(cnn, squares, epochs):
    X, y = squares
    early = keras.callbacks.EarlyStopping(monitor="loss", min_delta=1e9, patience=1)
    cnn.set_params(epochs=epochs, callbacks=[early])
    found = search(cnn, n_trials=1, scoring="neg_log_loss").fit(X, y)
    assert found.cv_results_["n_epochs"] == [4]
    assert list(found.study_.trials[0].intermediate_values)[-1] == 40
    best = clone(cnn).set_params(**found.best_params_)
    scores = [
        get_scorer("neg_log_loss")(clone(best).fit(X[train], y[train]), X[test], y[test])
        for train, test in FOLDS.split(X, y)
    ]
    if epochs == 100:  # neither fold came to its first look
        assert found.best_score_ == np.mean(scores)
    assert found.best_score_ >= np.mean(scores)


def test_a_training_that_diverges_fails_its_trial_and_not_the_search(cnn, squares):
    space = {"learning_rate": CategoricalDistribution((1e-2, 1e35))}
    cnn.set_params(optimizer="sgd")
    with pytest.warns(UserWarning, match="training diverged"):
        found = search(cnn, space, n_trials=4, scoring="neg_log_loss").fit(*squares)
    assert found.best_params_ == {"learning_rate": 1e-2}
    assert set(found.cv_results_["state"]) == {"complete", "fail"}


def test_a_training_that_diverges_is_no_accuracy_of_the_first_class(cnn, squares):
    space = {"learning_rate": CategoricalDistribution((1e-2, 1e35))}
    sampler = GridSampler({"learning_rate": [1e-2, 1e35]})
    with pytest.warns(UserWarning, match="1 of 2 trials failed.*training diverged"):
        found = search(cnn.set_params(optimizer="sgd"), space, sampler=sampler).fit(*squares)
    has_diverged = found.cv_results_["param_learning_rate"] == 1e35
    np.testing.assert_array_equal(found.cv_results_["state"] == "fail", has_diverged)


def test_scores_that_are_no_numbers_are_no_reason_to_prune(cnn, squares):
    def undefined(clf, X, y):
        return math.nan

    message = r"'score' is NaN in fold 1 of 2: the scorer .*undefined returned NaN.*clear, opaque"
    with pytest.raises(ValueError, match=message) as error:
        search(cnn, scoring=undefined, pruner=None).fit(*squares)
    assert "pruned" not in str(error.value)


def test_scores_may_be_undefined_at_first(cnn, squares):
    def late(clf, X, y):
        return math.nan if len(clf.history_["loss"]) < 3 else clf.history_["loss"][-1]

    found = search(cnn, scoring=late, n_trials=2, pruner=None, refit=False).fit(*squares)
    assert found.cv_results_["state"].tolist() == ["complete"] * 2
    assert found.best_epoch_ in (3, 4)
    assert min(found.study_.trials[0].intermediate_values) == 11


@pytest.fixture
def frozen():
    """A frozen network under a head that learns."""
    clear_feature_cache()
    return BackboneClassifier(
        "MobileNetV3Small",
        weights=None,
        trainable="head",
        image_size=32,
        epochs=2,
        dense_units=16,
        random_state=0,
    )


def test_no_image_goes_through_a_frozen_network_twice(frozen, squares):
    space = search_space(frozen)
    found = search(frozen, space, n_trials=4).fit(*squares)
    assert feature_cache_info().misses == len(squares[0])
    assert feature_cache_info().hits > 8 * len(squares[0])
    assert found.best_estimator_.feature_cache == "memory"


def test_optuna_search_cv_takes_the_space(frozen, squares):
    X, y = squares
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        theirs = optuna_integration.OptunaSearchCV(
            frozen,
            search_space(frozen),
            cv=2,
            n_trials=3,
            enable_pruning=True,
            max_iter=3,
            random_state=0,
            error_score="raise",
        )
    theirs.fit(X, y)
    assert theirs.best_params_.keys() == search_space(frozen).keys()
    assert [len(trial.intermediate_values) for trial in theirs.trials_] == [3, 3, 3]
    assert feature_cache_info().misses == len(X)
    assert theirs.predict(X).shape == (48,)


def flat(X):
    return X.reshape(len(X), -1)


def test_a_study_goes_on_where_the_same_files_lie_in_another_folder(squares, tmp_path):
    X, y = squares
    (tmp_path / "here").mkdir()
    paths = [str(tmp_path / "here" / f"{number}.png") for number in range(48)]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    reader = make_pipeline(ImageReader(image_size=8), FunctionTransformer(flat), GaussianNB())
    space = {"gaussiannb__var_smoothing": FloatDistribution(1e-9, 1, log=True)}
    options = dict(storage=tmp_path / "study.log", study_name="a")
    first = search(reader, space, **options).fit(paths, y)
    elsewhere = [path.replace("/here/", "/there/") for path in paths]
    again = search(reader, space, **options).fit(elsewhere, y)
    assert len(again.study_.trials) == 3
    assert again.best_score_ == first.best_score_
    assert (again.predict(elsewhere[:2]) == y[:2]).all()


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_tuples_can_be_searched_in_a_storage(cnn, squares, tmp_path):
    space = {"filters": CategoricalDistribution(((2,), (4, 8))), "epochs": IntDistribution(2, 3)}
    found = search(cnn, space, n_trials=4, storage=tmp_path / "study.log").fit(*squares)
    assert found.best_estimator_.filters == found.best_params_["filters"]
    assert {params["filters"] for params in found.cv_results_["params"]} <= {(2,), (4, 8)}
