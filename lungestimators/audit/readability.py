"""Two checks of each image by itself: whether it can be read, and whether it shows anything."""

from ..text_tables import counted
from .report import Check
from .summaries import EMPTY_RULE, ImageSummary


def check_readability(evidence):
    """Check that every image can be read."""
    bad = [row for row, each in enumerate(evidence.summaries) if not isinstance(each, ImageSummary)]
    rows = [{**evidence.describe(row), "reason": evidence.summaries[row]} for row in bad]
    n = len(evidence.summaries)
    rule = "A fault where an image cannot be read."
    if not bad:
        found = "The image" if n == 1 else f"All {n:,} images"
        return Check("readability", "ok", f"{found} can be read.", rows, rule)
    sentence = f"{len(bad):,} of {counted(n, 'image')} cannot be read."
    advice = (
        "Repair or replace the files. All other checks, and the images to learn from, are without "
        "them."
    )
    why = "some images cannot be read"
    return Check("readability", "fault", sentence, rows, rule, advice, why)


def check_empty_images(evidence):
    """Check that every image shows more than one grey value."""
    summaries = evidence.summaries
    bad = [
        row
        for row, each in enumerate(summaries)
        if isinstance(each, ImageSummary) and each.is_empty
    ]
    rows = [{**evidence.describe(row), "brightness": summaries[row].brightness[0]} for row in bad]
    rule = f"{EMPTY_RULE} A warning where there is one. Brightness: 0 is black, 1 is white."
    if not bad:
        sentence = "There is something to see on every image that can be read."
        return Check("empty images", "ok", sentence, rows, rule)
    sentence = (
        f"On {len(bad):,} of {counted(len(summaries), 'image')} there is nothing to see: "
        "hardly more than one grey value."
    )
    advice = (
        "Look at these images, and leave out those that are empty. All other checks, and the "
        "images to learn from, are without them."
    )
    return Check("empty images", "warning", sentence, rows, rule, advice, "some images are empty")
