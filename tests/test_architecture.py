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
# The arrows between the rooms of the house: a package, or a module that stands alone, and what it
# may import. Every room may import ``_compat``. Rooms that are not named import nothing else of the
# package's own.
MAY_IMPORT = {
    # The audit cross-validates models as the comparison does, with the same intervals.
    "audit": {"classifiers", "comparison", "images", "text_tables", "validation"},
    # The command line calls everything public, and nothing calls it.
    "__main__": {"command_line"},
    "command_line": {
        *("audit", "classifiers", "comparison", "datasets", "exporting", "images", "saving"),
        "text_tables",
    },
    "search": {"classifiers", "features", "studies", "validation"},
    "classifiers": {
        *("backends", "exporting", "features", "images", "networks", "saving", "training"),
        "validation",
    },
    "training": {"backends", "features", "images", "networks"},
    "features": {"backends", "images", "networks", "saving", "validation"},
    # Classes of the rooms above are imported by their names, of a closed list, when a file names
    # them: loading a CNN imports nothing else.
    "saving": {"images", "networks", "validation"},
    # It knows which transformers a network can do.
    "exporting": {"backends", "images", "networks", "preprocessing", "validation"},
    "networks": {"backends"},
    "comparison": {"text_tables", "validation"},
    "datasets": {"images", "text_tables", "validation"},
    # LungFields runs a network, and keeps what it returns in the feature store.
    "preprocessing": {"features", "images", "networks", "validation"},
    "plotting": {"images", "validation"},
}


def run(program):
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def room_of(path):
    """The package below ``lungestimators`` that a file is in, or the module that it is."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports_of(path):
    """What a file imports: rooms of the house, packages from outside, both anywhere in the file."""
    depth = len(path.relative_to(PACKAGE).parts)
    own, outside = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            own |= {node.module.split(".")[0]} if node.module else {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            outside.add(node.module.split(".")[0])
        elif isinstance(node, ast.Import):
            outside |= {alias.name.split(".")[0] for alias in node.names}
    return own, outside


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_a_module_imports_only_what_the_plan_allows(path):
    own, outside = imports_of(path)
    room = room_of(path)
    if room != "__init__":
        everybody = {room, "__version__"} | ({"_compat"} if room != "_compat" else set())
        assert own - everybody <= MAY_IMPORT.get(room, set())
    assert "lungestimators" not in outside


def test_one_module_knows_scikeras():
    knowing = [path for path in PACKAGE.rglob("*.py") if "scikeras" in imports_of(path)[1]]
    assert knowing == [PACKAGE / "training" / "scikeras_adapter.py"]


def names_used(path):
    """The attributes that a file uses, and the names that it imports from elsewhere."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield from node.module.split(".") + [alias.name for alias in node.names]
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", None) in ("getattr", "hasattr", "setattr")
            and isinstance(node.args[1], ast.Constant)
        ):
            yield node.args[1].value


def names_defined(path):
    """The functions, classes, variables and attributes that a file makes."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def test_private_names_of_other_libraries_stand_in_one_module():
    paths = [path for path in PACKAGE.rglob("*.py") if path.name != "_compat.py"]
    own = {name for path in paths for name in names_defined(path)}
    own |= {"_asdict", "_fields", "_replace"}  # named tuples' public methods
    used = [
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in paths
        for name in names_used(path)
        if name == "src" or (name.startswith("_") and not name.startswith("__"))
        if name not in own
    ]
    assert used == []


def test_the_package_imports_its_own_modules_at_the_top_of_a_file():
    inside = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level and node.col_offset
    ]
    assert inside == []


def test_importing_loads_no_framework():
    names = ", ".join(name for name in lungestimators.__all__ if name[0] != "_")
    program = (
        f"import sys, lungestimators; from lungestimators import {names}; "
        "CNNClassifier().get_params(); print(sorted(sys.modules))"
    )
    # What is lazy has its name among the modules, and none of its parts.
    loaded = {name.split(".")[0] for name in ast.literal_eval(run(program)) if "." in name}
    assert not FRAMEWORKS & loaded


@pytest.mark.slow
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
    with pytest.raises(AttributeError, match="nothing"):
        lungestimators.nothing  # noqa: B018 (the look-up itself is what is tested)
