"""The design pages can be read in an editor, and what they cite is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "design").glob("*.md"))


def cited(page):
    """The texts in single backticks on a page; a line break inside one counts as a space."""
    return [" ".join(text.split()) for text in re.findall(r"(?<!`)`([^`]+)`", page.read_text())]


def anchors(page):
    """What the headings of a page are called in links to them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_line_of_a_design_page_is_over_100_characters(page):
    lines = page.read_text().splitlines()
    assert not [number for number, line in enumerate(lines, 1) if len(line) > 100]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_test_that_a_design_page_names_exists(page):
    known = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        known |= {path.stem, *re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)}
    for text in cited(page):
        if expression := re.search(r"pytest .*-k (.+)$", text):
            for part in expression[1].strip('"').split(" or "):
                assert any(part in name for name in known), part


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_and_links_of_a_design_page_lead_somewhere(page):
    for text in cited(page):
        if path := re.search(r"(?:benchmarks|tests)/\w+\.py", text):
            assert (ROOT / path[0]).is_file(), path[0]
    for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text()):
        path = page.parent / target if target else page
        assert path.is_file(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"
