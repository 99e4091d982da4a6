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
        "inference",
        "inputs",
        "keras_callbacks",
        "parameters",
        "splitting",
        "training",
        "weighting",
    },
    "splitting": set(),
    "weighting": set(),
    "features": {"blueprints", "checks", "extraction", "inputs"},
    "callbacks": set(),
    "keras_callbacks": {"startup"},
    "inputs": {"columns", "extraction", "files", "images"},
    "checks": {
        "columns",
        "augmentation",
        "devices",
        "distribution",
        "keras_callbacks",
        "keras_settings",
        "store",
        "training",
        "weighting",
    },
    "datasets": {"folders", "synthetic", "tables"},
    "folders": {"files", "image_files", "images", "layout", "tables", "text"},
    "image_files": {"files", "text"},
    "layout": {"image_files", "text"},
    "tables": {"text"},
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
    "thumbnails": {"files", "images", "pixels"},
    "thorax": set(),
    "evaluation": {"checks", "comparison", "conclusions", "model_fits", "splits"},
    "model_fits": {"quality"},
    "conclusions": {"comparison", "quality", "splits", "statistics", "wording"},
    "wording": {"comparison", "splits", "statistics", "text"},
    "text": set(),
    "splits": set(),
    "quality": {"statistics"},
    "comparison": set(),
    "statistics": set(),
    "plotting": {"images"},
    "images": {"columns", "files", "pixels"},
    "files": {"dicom", "fits", "pillow", "pixels", "signatures", "tiff"},
    "dicom": {"dicom_colour", "dicom_display", "dicom_elements", "dicom_pixels"},
    "dicom_colour": {"dicom_elements"},
    "dicom_display": {"dicom_elements"},
    "dicom_elements": set(),
    "dicom_pixels": {"dicom_elements", "dicom_streams"},
    "dicom_streams": set(),
    "fits": {"pixels"},
    "pillow": set(),
    "pixels": set(),
    "signatures": set(),
    "tiff": {"pixels", "tiff_samples"},
    "tiff_samples": set(),
    "columns": set(),
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
        "normalisation",
        "reuse",
        "spill",
        "startup",
    },
    "epochs": {
        "augmentation",
        "blueprints",
        "compiled",
        "distribution",
        "dropout",
        "extraction",
        "normalisation",
        "startup",
    },
    "extraction": {
        "__version__",
        "augmentation",
        "compiled",
        "files",
        "images",
        "pixels",
        "startup",
        "store",
    },
    "inference": {"blueprints", "reuse", "startup"},
    "spill": set(),
    "studies": {"heartbeats", "storages"},
    "storages": set(),
    "heartbeats": set(),
    "augmentation": {"compiled", "reuse", "startup"},
    "blueprints": {"compiled", "distribution", "dropout", "networks", "reuse"},
    "compiled": {"distribution", "startup"},
    "distribution": set(),
    "normalisation": {"startup"},
    "dropout": set(),
    "store": {"directory_store", "memory_store"},
    "directory_store": {"memory_store"},
    "memory_store": set(),
    "reuse": {"devices", "distribution", "keras_settings"},
    "keras_settings": set(),
    "startup": set(),
    "devices": {"startup"},
    "networks": {"startup", "weights_files"},
    "weights_files": set(),
    "tuning": {
        "delegation",
        "identity",
        "objective",
        "progress",
        "results",
        "sampling",
        "spaces",
        "studies",
        "workers",
    },
    "workers": {"objective", "progress", "store", "studies"},
    "progress": {"studies"},
    "objective": {"base", "pipeline_view", "spaces", "studies"},
    "pipeline_view": set(),
    "results": {"objective"},
    "identity": {"content", "studies"},
    "sampling": {"objective"},
    "spaces": {"base", "content"},
    "content": set(),
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
