"""What editors and type checkers see of the public names."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lungestimators

PUBLIC = [name for name in lungestimators.__all__ if name[0] != "_"]
ROOT = Path(lungestimators.__file__).parents[1]

USER_SCRIPT = """\
import numpy as np
from sklearn.model_selection import cross_val_score

from lungestimators import CNNClassifier, compare_models, make_chest_xrays

X, y = make_chest_xrays(40, random_state=0)
clf = CNNClassifier(image_size=32, epochs=2)
probabilities: np.ndarray = clf.fit(X, y).predict_proba(X)
scores = cross_val_score(clf, X, y)
print(compare_models({"CNN": clf}, X, y), clf.model_, scores.mean())
"""


def lines_of_mypy(folder, **scripts):
    """Run mypy over the package and over scripts of its users; return the lines of each file."""
    for name, script in scripts.items():
        (folder / f"{name}.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(folder / "cache")]
        + ["--config-file", str(ROOT / "pyproject.toml"), str(ROOT / "lungestimators")]
        + [f"{name}.py" for name in scripts],
        cwd=folder,
        env=os.environ | {"MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert not done.stderr
    lines = [line.split(":", 1) for line in done.stdout.splitlines() if ": error:" in line]
    assert done.returncode == bool(lines)
    of_scripts = {name: [text for file, text in lines if file == f"{name}.py"] for name in scripts}
    of_package = [line for line in lines if line[0].removesuffix(".py") not in scripts]
    return of_package, of_scripts


def test_editors_list_every_public_name():
    assert set(PUBLIC) <= set(dir(lungestimators))
    assert "py.typed" in {path.name for path in Path(lungestimators.__file__).parent.iterdir()}


@pytest.mark.parametrize("name", PUBLIC)
def test_editors_see_the_signature(name):
    parameters = inspect.signature(getattr(lungestimators, name)).parameters.values()
    assert not [p for p in parameters if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def test_the_signature_of_a_classifier_has_its_types_and_defaults():
    parameters = inspect.signature(lungestimators.CNNClassifier).parameters
    assert parameters["image_size"].annotation is int
    assert parameters["image_size"].default == 64
    assert {parameter.kind for parameter in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    backbone = inspect.signature(lungestimators.BackboneClassifier).parameters["backbone"]
    assert backbone.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD


@pytest.mark.parametrize("name", [name for name in PUBLIC if name.endswith("Classifier")])
def test_public_methods_of_a_classifier_have_types(name):
    cls = getattr(lungestimators, name)
    methods = cls.fit, cls.partial_fit, cls.predict, cls.predict_proba, cls.save, cls.export
    for method in (cls, *methods):
        signature = inspect.signature(method)
        untyped = [p.name for p in signature.parameters.values() if p.annotation is p.empty]
        assert untyped in ([], ["self"])
        assert signature.return_annotation is not signature.empty


@pytest.mark.slow
def test_a_type_checker_finds_what_is_misspelt_and_nothing_else(tmp_path):
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("the configuration of mypy lies beside the sources")
    of_package, of_scripts = lines_of_mypy(
        tmp_path,
        right=USER_SCRIPT,
        misspelt=USER_SCRIPT.replace("image_size=", "imagesize="),
        of_another_type=USER_SCRIPT.replace("epochs=2", "epochs='2'"),
        unknown=USER_SCRIPT.replace("import CNNClassifier,", "import CNNClassifier, CNN,"),
    )
    assert of_package == []
    assert of_scripts["right"] == []
    assert of_scripts["misspelt"] == [
        '7: error: Unexpected keyword argument "imagesize" for "CNNClassifier"; '
        'did you mean "image_size"?  [call-arg]'
    ]
    assert len(of_scripts["of_another_type"]) == 1
    assert "CNN" in of_scripts["unknown"][0]
