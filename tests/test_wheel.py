"""The wheel: built, installed into an empty environment, and imported there."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import lungestimators

ROOT = Path(__file__).parents[1]
IMPORT_ALL = """
import sys, lungestimators, lungestimators.datasets, lungestimators.plotting
assert lungestimators.__file__.startswith(sys.prefix), lungestimators.__file__
for module in (lungestimators, lungestimators.datasets):
    for name in module.__all__:
        getattr(module, name)
print("imported", len(lungestimators.__all__))
"""


def run(*command, cwd):
    # PYTHONPATH may name the repository, where pip would find the package installed already.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy: folders of earlier builds would add what is gone to it."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("lungestimators", "examples"):  # the latter is no part of the package
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    # Without isolation pip builds with the setuptools installed here, and downloads nothing.
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(built))
    run(sys.executable, "-m", "pip", "wheel", *options, ".", cwd=source)
    (file,) = built.glob("*.whl")
    return file


@pytest.mark.slow
def test_the_wheel_contains_every_file_of_the_package_and_the_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        licence = archive.read(metadata.replace("METADATA", "licenses/LICENSE"))
        text = archive.read(metadata).decode()
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "lungestimators").rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    assert {name for name in names if ".dist-info/" not in name} == files
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert "License-Expression: BSD-3-Clause\n" in text


@pytest.mark.slow
def test_the_wheel_is_imported_outside_the_repository(wheel, tmp_path):
    environment = tmp_path / "environment"
    venv.create(environment)
    paths = {"base": str(environment), "platbase": str(environment)}
    python = environment / Path(sysconfig.get_path("scripts", "venv", paths)) / "python"
    install = ("install", "--no-deps", "--no-index", "--no-compile", str(wheel))
    run(sys.executable, "-m", "pip", "--python", str(python), *install, cwd=tmp_path)
    # The dependencies are those of the running environment, so that nothing is downloaded. Python
    # looks there last, and does not follow .pth files there, such as that of an editable install.
    here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    there = Path(sysconfig.get_path("purelib", "venv", paths))
    (there / "dependencies.pth").write_text("\n".join(sorted(here)))
    out = run(str(python), "-I", "-c", IMPORT_ALL, cwd=tmp_path)
    assert out.strip() == f"imported {len(lungestimators.__all__)}"


def test_the_citation_names_the_version_and_the_licence_of_the_package():
    text = (ROOT / "CITATION.cff").read_text()
    fields = dict(re.findall(r"^(version|license): (\S+)$", text, re.MULTILINE))
    assert fields == {"version": lungestimators.__version__, "license": "BSD-3-Clause"}
