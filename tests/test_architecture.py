"""Who imports whom, and what importing costs."""

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import lungestimators

PACKAGE = Path(lungestimators.__file__).parent
FRAMEWORKS = {
    "tensorflow",
    "keras",
    "scikeras",
    "optuna",
    "matplotlib",
    "torch",
    "jax",
    "statsmodels",
}
MAY_IMPORT = {
    "__init__": set(),
    "classifiers": {"base", "parameters"},
    "parameters": set(),
    "base": {
        "augmentation",
        "blueprints",
        "callbacks",
        "checks",
        "extraction",
        "inputs",
        "keras_callbacks",
        "networks",
        "training",
    },
    "features": {"blueprints", "checks", "extraction", "inputs"},
    "callbacks": set(),
    "keras_callbacks": set(),
    "inputs": {"extraction", "files", "images"},
    "checks": {"augmentation", "distribution", "keras_callbacks", "store", "training"},
    "datasets": {"folders", "synthetic", "tables"},
    "folders": {"files", "images", "tables"},
    "tables": set(),
    "transformers": {"files", "images"},
    "synthetic": {"thorax"},
    "audit": {
        "checks",
        "classifiers",
        "duplicates",
        "files",
        "findings",
        "images",
        "report",
        "shortcuts",
        "thumbnails",
        "trials",
    },
    "findings": {"duplicates", "report", "text", "thumbnails"},
    "trials": {"report", "shortcuts", "text"},
    "report": {"text"},
    "shortcuts": set(),
    "duplicates": set(),
    "thumbnails": {"files", "images"},
    "thorax": set(),
    "evaluation": {"checks", "comparison", "conclusions", "model_fits", "splits"},
    "model_fits": {"quality"},
    "conclusions": {"comparison", "quality", "splits", "statistics", "wording"},
    "wording": {"comparison", "splits", "text"},
    "text": set(),
    "splits": set(),
    "quality": {"statistics"},
    "comparison": set(),
    "statistics": set(),
    "plotting": {"images"},
    "images": {"files"},
    "files": {"dicom"},
    "dicom": set(),
    "training": {
        "augmentation",
        "blueprints",
        "compiled",
        "devices",
        "distribution",
        "dropout",
        "epochs",
        "extraction",
        "networks",
        "reuse",
        "spill",
    },
    "epochs": {
        "augmentation",
        "blueprints",
        "compiled",
        "distribution",
        "dropout",
        "extraction",
    },
    "extraction": {"__version__", "augmentation", "compiled", "files", "images", "store"},
    "spill": set(),
    "studies": {"heartbeats", "storages"},
    "storages": set(),
    "heartbeats": set(),
    "augmentation": {"compiled", "reuse"},
    "blueprints": {"compiled", "distribution", "dropout", "networks", "reuse"},
    "compiled": {"distribution"},
    "distribution": set(),
    "dropout": set(),
    "store": {"directory_store", "memory_store"},
    "directory_store": {"memory_store"},
    "memory_store": set(),
    "reuse": {"devices", "distribution"},
    "devices": set(),
    "networks": set(),
    "tuning": {
        "delegation",
        "identity",
        "objective",
        "results",
        "sampling",
        "spaces",
        "studies",
        "workers",
    },
    "workers": {"objective", "store", "studies"},
    "objective": {"base", "spaces", "studies"},
    "results": {"objective", "spaces"},
    "identity": {"augmentation", "spaces"},
    "sampling": {"objective"},
    "spaces": {"base"},
    "delegation": set(),
}


def run(program):
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def imports_of(path):
    """The package's own modules that a file imports, and the outside packages, at any depth."""
    own, outside = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            own |= {node.module.split(".")[0]} if node.module else {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            outside.add(node.module.split(".")[0])
        elif isinstance(node, ast.Import):
            outside |= {alias.name.split(".")[0] for alias in node.names}
    return own, outside


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_a_module_imports_only_what_the_design_allows(path):
    own, outside = imports_of(path)
    assert own <= MAY_IMPORT[path.stem]
    assert "scikeras" not in outside or path.stem == "training"


def test_importing_loads_no_framework():
    names = ", ".join(name for name in lungestimators.__all__ if name[0] != "_")
    program = (
        f"import sys, lungestimators; from lungestimators import {names}; "
        "CNNClassifier().get_params(); print(sorted(sys.modules))"
    )
    assert not FRAMEWORKS & set(ast.literal_eval(run(program)))


def test_importing_takes_less_than_300_ms_more_than_scikit_learn():
    def seconds(name):
        program = (
            f"import time; t = time.perf_counter(); import {name}; print(time.perf_counter() - t)"
        )
        return statistics.median(float(run(program)) for _ in range(5))

    assert seconds("lungestimators") < seconds("sklearn.base") + 0.3


def test_every_public_name_can_be_had():
    for name in lungestimators.__all__:
        assert getattr(lungestimators, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lungestimators.nothing  # noqa: B018 (the look-up itself is what is tested)
