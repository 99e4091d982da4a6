"""Search spaces: what is in them, and what comes of them."""

import json
import warnings

import optuna
import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from lungestimators import (
    BackboneClassifier,
    BorderCrop,
    CNNClassifier,
    DenseNetClassifier,
    MobileNetClassifier,
    search_space,
)
from lungestimators.classifiers import parameters
from lungestimators.search.space import Space, check_space

ESTIMATORS = [
    CNNClassifier(),
    CNNClassifier(epochs=1, batch_size=1, dense_units=1),
    MobileNetClassifier(),
    DenseNetClassifier(trainable="last_stage"),
    BackboneClassifier(trainable="all", fine_tune_epochs=0),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_every_value_of_the_space_is_a_valid_parameter(estimator):
    space = search_space(estimator)
    check_space(estimator, space)
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    for _ in range(20):
        params = Space(space).suggest_params(study.ask())
        assert params.keys() == space.keys()
        parameters.check_classifier_parameters(clone(estimator).set_params(**params))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_every_distribution_survives_a_storage(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for distribution in search_space(estimator).values():
            assert json_to_distribution(distribution_to_json(distribution)) == distribution


def test_a_frozen_network_sees_the_same_images_in_all_trials():
    space = search_space(MobileNetClassifier())
    assert not {"image_size", "alpha", "augment", "trainable"} & space.keys()


def test_the_space_follows_what_is_trained():
    assert "augment" in search_space(CNNClassifier())
    assert "augment" not in search_space(CNNClassifier(trainable="head"))
    assert "fine_tune_epochs" not in search_space(MobileNetClassifier())
    assert "fine_tune_epochs" not in search_space(MobileNetClassifier(weights=None))
    assert "fine_tune_epochs" in search_space(MobileNetClassifier(trainable="last_stage"))
    assert "class_weight" not in search_space(CNNClassifier(class_weight={"ill": 2}))


def test_the_space_lies_around_the_estimators_own_values():
    space = search_space(CNNClassifier(epochs=10, learning_rate=0.01, batch_size=4))
    assert space["epochs"] == IntDistribution(5, 20)
    assert space["learning_rate"] == FloatDistribution(0.001, 0.1, log=True)
    assert space["batch_size"] == CategoricalDistribution((2, 4, 8))


def test_the_space_of_a_pipeline_is_that_of_its_last_step():
    pipeline = make_pipeline(BorderCrop(0.1), CNNClassifier())
    space = search_space(pipeline)
    assert space["cnnclassifier__epochs"] == search_space(CNNClassifier())["epochs"]
    check_space(pipeline, space)


def test_an_estimator_of_another_package_needs_a_space_of_its_own():
    with pytest.raises(TypeError, match="pass a space of your own"):
        search_space(LogisticRegression())


def test_suggestions_are_those_of_optunas_own_methods():
    space = {
        "dropout": FloatDistribution(0, 0.6, step=0.2),
        "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
        "epochs": IntDistribution(4, 10, step=2),
        "augment": CategoricalDistribution((False, True)),
    }
    ours, theirs = (
        optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3)).ask() for _ in range(2)
    )
    assert Space(space).suggest_params(ours) == {
        "dropout": theirs.suggest_float("dropout", 0, 0.6, step=0.2),
        "learning_rate": theirs.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
        "epochs": theirs.suggest_int("epochs", 4, 10, step=2),
        "augment": theirs.suggest_categorical("augment", (False, True)),
    }


@pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
def test_tuples_among_the_choices_survive_a_storage():
    choices = ((4,), (4, 8))
    space = Space({"filters": CategoricalDistribution(choices)})
    trial = optuna.create_study().ask()
    assert space.suggest_params(trial)["filters"] in choices
    assert json.loads(json.dumps(trial.params)) == trial.params
    assert space.from_stored(trial.params)["filters"] in choices


@pytest.mark.parametrize(
    ("space", "error", "message"),
    [
        ({"epoch": IntDistribution(1, 2)}, ValueError, r"\['epoch'\].*'epochs'"),
        ({"epochs": [1, 2]}, TypeError, r"space\['epochs'\]=\[1, 2\] must be an optuna dist"),
        ({}, TypeError, "must be a dict"),
        ([IntDistribution(1, 2)], TypeError, "must be a dict"),
    ],
)
def test_a_wrong_space_is_named(space, error, message):
    with pytest.raises(error, match=message):
        check_space(CNNClassifier(), space)
