"""audit_images: its arguments, its seed, its progress, and the choice of checks."""

import inspect
import re

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from lungestimators import ImageReadError, audit_images, make_chest_xrays
from lungestimators.audit import fingerprints
from lungestimators.audit.audit import CHECKS, NEEDS

from .small_audits import audit, quick


def faulty_set():
    """Arguments of an audit in which nearly every check finds something."""
    X, y = make_chest_xrays(90, leak=0.1, marker=1, random_state=0)
    y[-1] = (y[-1] + 1) % 3
    X[5] = 0
    more = dict(X_test=X[:6], y_test=[7, *y[1:6]], source=y.astype(str))
    return dict(X=X, y=y, groups=np.arange(90) // 2, **more)


def clean_set():
    X, y = make_chest_xrays(90, random_state=1)
    return dict(X=X[:60], y=y[:60], groups=np.arange(60), X_test=X[60:], y_test=y[60:])


@pytest.fixture(scope="module", params=[faulty_set, clean_set], ids=["faulty", "clean"])
def audited(request):
    """Arguments of an audit, and the report of all its checks."""
    arguments = dict(**request.param(), estimator=quick())
    return arguments, audit(**arguments)


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_finds_the_same_alone_as_with_all_others(audited, name):
    arguments, all_together = audited
    alone = audit(**arguments, checks=[name])
    assert list(alone.checks) == [name]
    assert alone.checks[name] == all_together.checks[name]
    assert alone.verdict == all_together.checks[name].verdict
    assert alone.not_run == [other for other in CHECKS if other != name]
    for array in ("groups_", "keep_", "leaked_"):
        if getattr(alone, array) is not None:
            np.testing.assert_array_equal(getattr(alone, array), getattr(all_together, array))
    assert all_together.not_run == []


def test_the_sets_that_checks_are_tried_on_are_faulty_and_clean(audited):
    arguments, report = audited
    found = {name for name, check in report.checks.items() if check.verdict in ("warning", "fault")}
    if "source" in arguments:
        assert found == set(CHECKS) - {"readability", "classes", "labels"}
    else:
        assert found <= {"labels"}  # which a poor estimator doubts


def test_a_report_says_which_checks_were_not_run_and_nothing_of_what_they_look_for():
    arguments = faulty_set()
    report = audit(**arguments, checks=["readability", "test labels", "empty images"])
    assert list(report.checks) == ["readability", "empty images", "test labels"]
    left_out = "duplicates, labels of duplicates, groups of duplicates, leaks, classes, labels"
    assert report.conclusion.endswith(
        f"Nothing is known of what was not checked: {left_out}, shortcuts."
    )
    assert report.to_dict()["not_run"] == [*left_out.split(", "), "shortcuts"]
    assert (report.groups_, report.keep_, report.leaked_) == (None, None, None)
    for text in (" ".join(str(report).split()), report._repr_html_()):
        assert f"{left_out}, shortcuts" in text
        assert "keep_" not in text
    assert repr(report) == (
        "<AuditReport of 90 images: 1 ok, 0 skipped, 1 warning, 1 fault, 7 not run>"
    )
    clean = audit(**clean_set(), checks=["readability"])
    assert clean.conclusion.startswith("No fault was found by the checks that were run. Nothing is")
    without_test = {name: arguments[name] for name in ("X", "y")}
    assert audit(**without_test, checks=["duplicates"]).not_run == [
        name for name in CHECKS if name not in NEEDS and name != "duplicates"
    ]


def test_only_what_the_named_checks_need_is_computed(chests, monkeypatch):
    X, y = chests

    def refuse(*arguments):
        raise AssertionError("images were compared")

    monkeypatch.setattr(fingerprints, "find_pairs_of_fingerprints", refuse)
    audit(X, y, checks=["readability", "empty images"])
    unread = audit(["no.png"] * 60, y, None, ["no.png"], y[:1], checks=["test labels"])
    assert unread.verdict == "ok"
    with pytest.raises(AssertionError, match="images were compared"):
        audit(X, y, checks=["classes"])


@pytest.mark.parametrize(
    ("checks", "error", "message"),
    [
        (["labels", "leak"], ValueError, r"unknown names: \['leak'\]; known are .*'shortcuts'"),
        ([], ValueError, "checks is empty; known are"),
        ("labels", TypeError, r"must be a list of names, such as \['labels'\]"),
        (["leaks"], ValueError, "'leaks' needs X_test"),
        (["test labels"], ValueError, "'test labels' needs y_test"),
        (["groups of duplicates"], ValueError, "'groups of duplicates' needs groups"),
    ],
)
def test_checks_that_cannot_be_run_are_refused_before_anything_is_read(checks, error, message):
    with pytest.raises(error, match=message):
        audit(["no.png", "nor.png"], [0, 1], checks=checks)


def test_every_check_is_documented_with_what_it_needs():
    documented = inspect.getdoc(audit_images)
    named = re.findall(r'^ +- ``"(.+?)"``: (.+?)(?=^ +- |^$)', documented, re.DOTALL | re.MULTILINE)
    assert [name for name, _ in named] == list(CHECKS)
    needed = {name: re.search(r"needs ``(\w+)``", text) for name, text in named}
    assert {name: match[1] for name, match in needed.items() if match} == NEEDS


def test_the_same_seed_gives_the_same_report(chests):
    X, y = chests
    state = np.random.get_state()[1].copy()
    first, again = (audit(X, y, estimator=quick(), random_state=3).to_dict() for _ in range(2))
    assert first == again
    np.testing.assert_array_equal(state, np.random.get_state()[1])
    other = audit(X, y, estimator=quick(), random_state=4).to_dict()
    assert first["checks"][-1] != other["checks"][-1]


def test_progress_is_printed_only_when_asked_for(chests, capsys):
    audit(*chests)
    assert capsys.readouterr().out == ""
    audit(*chests, verbose=1)
    out = capsys.readouterr().out
    assert re.search(r"reading images of X\n(.*\n)*60/60 ", out)
    assert "permuted labels, fold: 2 of 2" in out


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (lambda X, y: dict(X=[], y=[]), ValueError, "X holds no image"),
        (lambda X, y: dict(X=X, y=y[:5]), ValueError, "inconsistent numbers of samples"),
        (lambda X, y: dict(X=X, y=y * 0), ValueError, "one class only"),
        (lambda X, y: dict(X=X[:, 0], y=y), ValueError, "X has 2 dimensions"),
        (lambda X, y: dict(X=X, y=y, groups=y[:5]), ValueError, "inconsistent numbers"),
        (lambda X, y: dict(X=X, y=y, source=y[:5]), ValueError, "inconsistent numbers"),
        (lambda X, y: dict(X=X, y=y, y_test=y), ValueError, "without X_test"),
        (lambda X, y: dict(X=X, y=y, X_test=X, y_test=y[:5]), ValueError, "inconsistent"),
        (lambda X, y: dict(X=X, y=y, cv=1), ValueError, "cv=1 must be"),
        (lambda X, y: dict(X=X, y=y, estimator=StandardScaler()), TypeError, "classifier"),
        (lambda X, y: dict(X="folder", y=y), TypeError, "single path"),
        (lambda X, y: dict(X=["a.png", "b.png"], y=[0, 1]), ImageReadError, "no such file"),
    ],
)
def test_what_cannot_be_audited_is_said(chests, arguments, error, message):
    with pytest.raises(error, match=message):
        audit(**arguments(*chests))
