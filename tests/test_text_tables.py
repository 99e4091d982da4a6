"""Tables as text and as HTML."""

import pytest

from lungestimators.text_tables import counted, html_table, printable, text_table

LINES = [["model", "n"], ["<a>", "10"], ["longer", ""]]


@pytest.mark.parametrize(
    ("align", "expected"),
    [
        ("left", ["model   n", "<a>     10", "longer"]),
        ("right", ["model    n", "<a>     10", "longer"]),
    ],
)
def test_columns_of_text_are_padded_to_one_width(align, expected):
    assert text_table(LINES, align) == expected


def test_cells_are_escaped_unless_they_are_html():
    head = "<table><thead><tr><th>model</th><th>n</th></tr></thead>\n<tbody>"
    assert html_table(LINES[:2]) == (
        f"{head}<tr><td>&lt;a&gt;</td><td>10</td></tr></tbody></table>"
    )
    assert html_table([LINES[0], ["<b>a</b>", "1"]], is_html=True) == (
        f"{head}<tr><td><b>a</b></td><td>1</td></tr></tbody></table>"
    )


def test_numbers_are_counted_in_words():
    assert [counted(n, "image") for n in (0, 1, 2, 1234)] == [
        "0 images",
        "1 image",
        "2 images",
        "1,234 images",
    ]


def test_what_cannot_be_printed_is_escaped():
    assert printable("caf\udce9\n é") == r"caf\udce9\n é"
