"""The report as text, as HTML and as plain data."""

import json
import re
from html import unescape

import numpy as np

from lungestimators import make_chest_xrays
from lungestimators.audit.report import MEANINGS

from .small_audits import audit, quick


def test_the_report_prints_verdicts_words_and_rows():
    X, y = make_chest_xrays(60, leak=0.5, random_state=0)
    report = audit(X, y)
    text = str(report)
    assert "[warning] duplicates" in text
    assert "X[0]   X[30]" in text
    assert "and 22 more: report.checks['duplicates'].rows" in text
    assert text.replace("\n", " ").endswith("a split at random tests on what was learnt.")
    assert max(map(len, text.splitlines())) <= 100
    assert repr(report).startswith("<AuditReport of 60 images: ")


def test_no_verdict_asks_to_look_and_says_ok_and_every_check_states_its_rule():
    X, y = make_chest_xrays(60, leak=0.1, random_state=0)
    y = np.concatenate([y[:-1], [(y[-1] + 1) % 3]])
    report = audit(X, y, np.arange(60), X[:3], [7, *y[1:3]], estimator=quick())
    for check in report.checks.values():
        assert check.rule, check.name
        assert bool(check.advice) == (check.verdict != "ok"), check.name
        assert bool(check.consequence) == (check.verdict in ("warning", "fault")), check.name
        assert "Look at" not in check.sentence
        for text in (check.sentence, check.rule, check.advice):
            assert not re.search(r"\b[a-z]+_\b", text), check.name
    words = " ".join(str(report).split())
    page = unescape(report._repr_html_())
    for text in (words, page):
        assert "similarity, at least 0.88" in text
        assert "Next: Test without these images." in re.sub("<[^>]*>", "", text)
        for verdict in ("ok", "skipped", "warning", "fault"):
            assert f"{verdict}: {MEANINGS[verdict]}" in re.sub("<[^>]*>", "", text)
    assert "report.leaked_: the 3 of 3 test images that are also in X" in words


def test_one_is_said_in_the_singular(chests):
    X, y = chests
    report = audit(X, y, None, X[:1], [7])
    assert report.checks["leaks"].sentence.startswith("1 of 1 image of X_test is also in X")
    assert report.checks["test labels"].sentence.startswith("1 test image bears a label")
    assert str(report).startswith("Audit of 60 images and 1 test image\n")
    repeated = audit(np.concatenate([X, X[:1]]), np.r_[y, y[0]]).checks["duplicates"]
    assert repeated.sentence == "1 of 61 images of X repeats another image."


def test_html_is_escaped(chests):
    X, y = chests
    X, y = np.concatenate([X, X[:1]]), np.array([f"<b>{label}</b>" for label in y] + ["<i>&"])
    html = audit(X, y)._repr_html_()
    assert "<b>0</b>" not in html
    assert "&lt;i&gt;&amp;" in html


def test_the_report_is_plain_json():
    X, y = make_chest_xrays(60, leak=0.1, random_state=0)
    y = y.astype(np.int8)
    y[-1] = (y[-1] + 1) % 3
    report = audit(X, y, np.arange(60), X[:3], y[:3], source=y.astype(str))
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["verdict"] == "fault"
    assert plain["keep"] == report.keep_.tolist()
    assert plain["leaked"] == [True, True, True]
    assert {check["name"] for check in plain["checks"]} == set(report.checks)
