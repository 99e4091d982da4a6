"""Every public docstring is complete, and its example runs."""

import ast
import doctest
import importlib
import inspect
import re

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc

import lungestimators
from lungestimators import plotting
from lungestimators.audit import audit
from lungestimators.classifiers import classifiers
from lungestimators.comparison import compare, report
from lungestimators.datasets import csv_table, fetch, synthetic
from lungestimators.datasets import folder as folders
from lungestimators.exporting import estimators as exporting
from lungestimators.features import backbone_features, cache
from lungestimators.images import errors
from lungestimators.preprocessing import border_crop, clahe, image_reader, lung_fields
from lungestimators.saving import estimators as saving
from lungestimators.search import optuna_search, space

PUBLIC = [getattr(lungestimators, name) for name in lungestimators.__all__ if name[0] != "_"]
CLASSES = [public for public in PUBLIC if public.__module__ == classifiers.__name__]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_parameter_is_documented_with_its_default(cls):
    parameters = {p.name: p.type for p in ClassDoc(cls)["Parameters"]}
    signature = inspect.signature(cls).parameters
    assert set(parameters) == set(signature)
    for name, parameter in signature.items():
        stated = re.search(r"default=(.*)$", parameters[name])
        assert stated, f"{name} states no default"
        assert ast.literal_eval(stated[1]) == parameter.default, name


@pytest.mark.parametrize("public", PUBLIC, ids=lambda public: public.__name__)
def test_every_public_name_documents_its_parameters_and_shows_an_example(public):
    doc = (ClassDoc if inspect.isclass(public) else FunctionDoc)(public)
    documented = {p.name for p in doc["Parameters"]}
    assert documented == set(inspect.signature(public).parameters)
    assert ">>>" in "\n".join(doc["Examples"])


@pytest.mark.parametrize(
    "method", ["fit", "partial_fit", "predict", "predict_proba", "save", "export"]
)
def test_every_method_documents_its_arguments(method):
    function = getattr(classifiers.CNNClassifier, method)
    documented = {p.name for p in FunctionDoc(function)["Parameters"]}
    assert documented == set(inspect.signature(function).parameters) - {"self"}


@pytest.mark.parametrize(
    "module",
    [
        audit,
        classifiers,
        report,
        fetch,
        compare,
        backbone_features,
        errors,
        folders,
        plotting,
        space,
        cache,
        synthetic,
        csv_table,
        border_crop,
        clahe,
        image_reader,
        lung_fields,
        optuna_search,
        saving,
        exporting,
    ],
    ids=lambda m: m.__name__,
)
def test_every_example_runs(module):
    result = doctest.testmod(importlib.import_module(module.__name__))
    assert result.attempted > 0
    assert result.failed == 0
