"""Tables as text and as HTML, numbers and names in words, and text that can be printed."""

from html import escape

_N_NAMED = 3  # items


def text_table(lines, align="left"):
    """Return a table as lines of text, its columns padded to one width each.

    Parameters
    ----------
    lines : list of list of str
        Cells of each line, the header first.
    align : {"left", "right"}
        Of all columns but the first, which is set to the left.

    Returns
    -------
    list of str
    """
    pad = {"left": str.ljust, "right": str.rjust}[align]
    first, *others = (max(map(len, column)) for column in zip(*lines, strict=True))
    return [
        "  ".join([line[0].ljust(first), *map(pad, line[1:], others)]).rstrip() for line in lines
    ]


def html_table(lines, *, is_html=False):
    """Return a table as HTML.

    Parameters
    ----------
    lines : list of list of str
        Cells of each line, the header first.
    is_html : bool
        Whether the cells are HTML already; otherwise ``<`` and the like are escaped.

    Returns
    -------
    str
    """

    def row(line, tag):
        cells = line if is_html else map(escape, line)
        return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"

    body = "\n".join(row(line, "td") for line in lines[1:])
    return f"<table><thead>{row(lines[0], 'th')}</thead>\n<tbody>{body}</tbody></table>"


def counted(n, noun):
    """Return a number of things: 1 image, 1,000 images."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def printable(text):
    """Escape what cannot be printed, such as bytes of a file name that are not UTF-8."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def name_first(items):
    """Return a text that names the first three items, and counts the others."""
    n_others = len(items) - _N_NAMED
    named = ", ".join(repr(item) for item in items[:_N_NAMED])
    return named + f" and {n_others} others" * (n_others > 0)
