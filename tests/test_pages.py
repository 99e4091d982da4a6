"""The README and the guide: their code runs, their links lead somewhere, their lines are short."""

import re
import shlex
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from PIL import Image

from lungestimators import command_line

ROOT = Path(__file__).parents[1]
WITH_CODE = [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]
ALL = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name(page):
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def folder_of_images(tmp_path, monkeypatch):
    """The working directory of a page: small images in the folders that the pages name."""
    rng = np.random.default_rng(0)

    def save(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (32, 32), np.uint8)).save(path)

    for class_name in ("Healthy", "Type 1 disease", "Type 2 disease"):
        for number in range(6):
            save(tmp_path / "lung-disease" / "train" / class_name / f"{number}.png")
    rows = ["file,diagnosis,patient,hospital"]
    for class_name in ("healthy", "ill"):
        for number in range(20):
            patient = f"patient{100 * len(class_name) + number // 2}"
            file = Path("chest-xrays") / class_name / patient / f"view{number % 2}.png"
            save(tmp_path / file)
            rows.append(f"{file.as_posix()},{class_name},{patient},{'AB'[number // 2 % 2]}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    for number in range(3):
        save(tmp_path / "new" / f"{number}.png")
    get_reusable_executor().shutdown()  # workers of an earlier test have its working directory
    monkeypatch.chdir(tmp_path)


def code_of(page):
    """The page's blocks of Python, each on its own lines, so that an error names the line.

    In blocks of bash, each line is a command of the package; 1 says that files or images are bad.
    """
    lines, language = [], None
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            language = line.removeprefix("```")
            lines.append("")
        elif language == "bash":
            command, *arguments = shlex.split(line)
            assert command == "lungestimators"
            lines.append(f"assert command_line.main({arguments!r}) in (0, 1)")
        else:
            lines.append(line if language == "python" else "")
    return "\n".join(lines)


def linked_from(page):
    """The files of the repository that a page links to."""
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    return [(page.parent / link).resolve() for link in links if link and ":" not in link]


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=[] if p.name == "README.md" else pytest.mark.slow) for p in WITH_CODE],
    ids=name,
)
def test_the_code_of_a_page_runs(page, folder_of_images, monkeypatch):
    code = code_of(page)
    assert code.strip()
    main = types.ModuleType("__main__")
    main.command_line = command_line
    monkeypatch.setitem(sys.modules, "__main__", main)  # functions of a page are found in it
    exec(compile(code, page, "exec"), main.__dict__)


@pytest.mark.parametrize("page", ALL, ids=name)
def test_every_link_of_a_page_leads_to_a_file(page):
    missing = [path for path in linked_from(page) if not path.exists()]
    assert not missing


@pytest.mark.parametrize("page", WITH_CODE, ids=name)
def test_no_line_of_a_page_is_long_but_in_a_table_or_with_a_link(page):
    lines = page.read_text(encoding="utf-8").splitlines()
    long = [line for line in lines if len(line) > 100 and line[0] != "|" and "](" not in line]
    assert not long


def test_the_index_leads_to_every_page():
    index = ROOT / "docs" / "index.md"
    # The pages of the design have an index of their own.
    pages = {page for page in ALL if page.parent.name != "design"}
    assert pages - {index} <= set(linked_from(index))


def test_the_readme_can_be_read_in_a_few_minutes():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 900
