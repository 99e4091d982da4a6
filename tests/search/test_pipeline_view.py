"""A trial of a pipeline is scored at every epoch as scikit-learn scores the pipeline."""

import numpy as np
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import Pipeline as ImbalancedPipeline
from optuna.distributions import CategoricalDistribution
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.metrics import get_scorer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler

from lungestimators import BorderCrop
from tests.search.image_searches import FOLDS, RATES, search


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
