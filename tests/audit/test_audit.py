"""The audit: duplicates, leaks, doubtful labels, shortcuts, and what it says of clean data."""

import io
import json
import os
import re
from html import unescape

import numpy as np
import pydicom
import pydicom.data
import pytest
from PIL import Image, ImageEnhance, ImageOps
from scipy import optimize, stats
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from lungestimators import ImageReadError, audit_images, load_image_folder, make_chest_xrays
from lungestimators.audit import shortcuts, summaries
from lungestimators.audit.report import MEANINGS
from lungestimators.classifiers import classifiers


def few_pixels(X):
    return X.reshape(len(X), -1)[:, ::37]


def quick():
    """A poor classifier that is fitted in a moment."""
    return make_pipeline(
        FunctionTransformer(few_pixels), StandardScaler(), LogisticRegression(C=0.01)
    )


@pytest.fixture(scope="module")
def chests():
    """60 different images, read-only."""
    X, y = make_chest_xrays(60, random_state=0)
    X.flags.writeable = y.flags.writeable = False
    return X, y


def audit(X, y, *arguments, cv=2, **options):
    options = {"estimator": DummyClassifier(), "random_state": 0, **options}
    return audit_images(X, y, *arguments, cv=cv, **options)


def resized(image, factor):
    size = [round(factor * side) for side in image.size]
    return image.resize(size, Image.Resampling.BILINEAR)


def compressed(image):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=50)
    return Image.open(file)


ALTERATIONS = {
    "half the size and back": lambda image: resized(resized(image, 0.5), 2),
    "JPEG": compressed,
    "mirrored": ImageOps.mirror,
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.3),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "all of them": lambda image: compressed(
        ImageEnhance.Contrast(ImageOps.mirror(resized(resized(image, 0.5), 2))).enhance(1.3)
    ),
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
def test_an_altered_copy_is_found(chests, alteration):
    X, y = chests
    copies = np.stack([ALTERATIONS[alteration](Image.fromarray(image)) for image in X])
    report = audit(X, y, None, copies, y)
    np.testing.assert_array_equal(report.leaked_, True)
    assert report.checks["leaks"].verdict == "fault"
    assert len(report.checks["leaks"].rows) == 60
    np.testing.assert_array_equal(report.keep_, True)


def test_different_images_are_no_duplicates():
    X, y = make_chest_xrays(500, random_state=1)
    report = audit(X[:400], y[:400], None, X[400:], y[400:])
    assert report.keep_.all()
    assert not report.leaked_.any()
    assert report.checks["duplicates"].verdict == report.checks["leaks"].verdict == "ok"
    assert len(np.unique(report.groups_)) == 400


def test_copies_planted_by_the_generator_are_found_and_dropped():
    X, y = make_chest_xrays(200, leak=0.1, random_state=2)
    report = audit(X, y)
    np.testing.assert_array_equal(report.keep_, np.arange(200) < 180)
    np.testing.assert_array_equal(report.groups_[180:], np.arange(20))
    assert "20 of 200 images of X" in report.checks["duplicates"].sentence


def test_groups_keep_duplicates_on_one_side_of_every_fold(chests):
    X, y = chests
    X, y = np.concatenate([X, X[:20, :, ::-1]]), np.concatenate([y, y[:20]])
    groups = audit(X, y).groups_
    for train, test in StratifiedGroupKFold(5).split(X, y, groups):
        assert not set(train % 60) & set(test % 60)


def test_given_groups_are_joined_by_duplicates(chests):
    X, y = chests
    X, y = np.concatenate([X, X[:1]]), np.concatenate([y, y[:1]])
    patients = np.array([f"patient {row // 2}" for row in range(60)] + ["another patient"])
    report = audit(X, y, patients)
    assert report.groups_[0] == report.groups_[1] == report.groups_[60]
    assert len(np.unique(report.groups_)) == 30
    check = report.checks["groups of duplicates"]
    assert check.verdict == "warning"
    assert [row["group"] for row in check.rows] == ["patient 0", "another patient"]


def test_of_duplicates_with_different_labels_none_is_kept(chests):
    X, y = chests
    other = (y[0] + 1) % 3
    report = audit(np.concatenate([X, X[:2]]), np.concatenate([y, [other, y[1]]]))
    assert np.flatnonzero(~report.keep_).tolist() == [0, 60, 61]
    check = report.checks["labels of duplicates"]
    assert check.verdict == "fault"
    assert [row["label"] for row in check.rows] == [y[0], other]


def test_a_test_image_with_another_label_than_its_copy_is_reported(chests):
    X, y = chests
    report = audit(X, y, None, X[:3], np.r_[y[:2], (y[2] + 1) % 3])
    rows = report.checks["labels of duplicates"].rows
    assert [row["image"] for row in rows] == ["X[2]", "X_test[2]"]
    assert report.keep_.all()


def test_without_y_test_leaks_are_still_looked_for(chests):
    X, y = chests
    report = audit(X[:50], y[:50], None, X[45:])
    np.testing.assert_array_equal(report.leaked_, np.arange(15) < 5)
    assert "test labels" not in report.checks


def test_without_a_test_set_nothing_is_said_of_leaks(chests):
    report = audit(*chests)
    assert report.leaked_ is None
    assert "leaks" not in report.checks


def test_unreadable_and_empty_files_are_reported_and_left_out(chests, tmp_path):
    X, y = chests
    paths = [tmp_path / f"{row}.png" for row in range(60)]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    paths[7].write_bytes(paths[7].read_bytes()[:900])
    paths[8].write_text("no image")
    paths[9].unlink()
    black = np.zeros((128, 128), np.uint8)
    black[:8, :8] = 255
    for row in (20, 21):
        Image.fromarray(black).save(paths[row])
    report = audit(paths, y)
    assert np.flatnonzero(~report.keep_).tolist() == [7, 8, 9, 20, 21]
    unreadable = report.checks["readability"]
    assert unreadable.verdict == "fault"
    assert [row["image"] for row in unreadable.rows] == ["X[7]", "X[8]", "X[9]"]
    assert unreadable.rows[2]["reason"] == "there is no such file"
    assert [row["file"] for row in report.checks["empty images"].rows] == list(
        map(str, paths[20:22])
    )
    assert report.checks["duplicates"].verdict == "ok"


def test_names_that_are_not_utf_8_can_be_printed(chests, tmp_path):
    X, y = chests
    paths = [os.fsdecode(os.fsencode(tmp_path / "caf") + b"\xe9%d.png" % row) for row in range(60)]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    os.link(paths[0], paths[1] + "\n")
    paths[1] += "\n"
    with open(paths[2], "wb"):
        pass
    labels = np.array([os.fsdecode(b"ill\xff"), "well"])[(y == y[0]).astype(int)]
    report = audit(paths, labels)
    for text in (str(report), report._repr_html_()):
        assert r"\udce92.png" in text.encode("utf-8").decode()
        assert r"\udce91.png\n" in text
    assert report.checks["readability"].rows[0]["file"] == paths[2]  # as it opens the file
    json.dumps(report.to_dict())


def test_a_dicom_file_whose_preamble_is_that_of_a_tiff_is_dicom(chests, tmp_path):
    X, y = chests
    source = pydicom.data.get_testdata_file("CT_small.dcm")
    paths = [str(tmp_path / f"{row}") for row in range(60)]
    for row, path in enumerate(paths):
        dataset = pydicom.dcmread(source)
        dataset.preamble = b"II*\0\x08\0\0\0\x01\0\0\x01" + bytes(116)
        dataset.Rows = dataset.Columns = 128
        dataset.PixelData = X[row].astype(np.int16).tobytes()
        dataset.save_as(path)
    report = audit(paths, y)
    assert report.checks["readability"].verdict == "ok"
    assert summaries.look_at(paths[:1], lambda done: None)[0].properties["format"] == "DICOM"


def test_files_and_arrays_give_the_same_duplicates(chests, tmp_path):
    X, y = make_chest_xrays(40, leak=0.25, random_state=0)
    paths = [str(tmp_path / f"{row}.png") for row in range(40)]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    by_pixels, by_files = audit(X, y), audit(paths, y)
    np.testing.assert_array_equal(by_pixels.groups_, by_files.groups_)
    np.testing.assert_array_equal(by_pixels.keep_, by_files.keep_)


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.astype(np.uint16) * 257,
        lambda X: X / np.float32(255),
        lambda X: np.repeat(X[..., None], 3, axis=3),
    ],
    ids=["uint16", "float", "RGB"],
)
def test_any_kind_of_pixels_is_taken(chests, convert):
    X, y = chests
    report = audit(X, y, None, convert(X[:10]))
    np.testing.assert_array_equal(report.leaked_, True)


@pytest.mark.parametrize("seed", range(3))
def test_a_marker_is_a_shortcut(seed):
    X, y = make_chest_xrays(300, marker=1, random_state=seed)
    report = audit(X, y, cv=5, random_state=seed)
    check = report.checks["shortcuts"]
    assert check.verdict == "fault"
    assert "border alone" in check.sentence
    assert "cannot be trusted" in report.conclusion


@pytest.mark.parametrize("seed", range(3))
def test_clean_images_have_no_shortcut(seed):
    X, y = make_chest_xrays(300, random_state=seed)
    report = audit(X, y, cv=5, random_state=seed)
    assert report.checks["shortcuts"].verdict == "ok"
    assert "cannot be trusted" not in report.conclusion


def verdicts(report):
    return {row["seen"]: row["verdict"] for row in report.checks["shortcuts"].rows}


def test_a_source_that_tells_the_class_is_a_shortcut(chests):
    X, y = chests
    found = verdicts(audit(X, y, source=np.where(y == 0, "hospital A", "hospital B")))
    assert found["source"] == "fault"
    anywhere = np.random.default_rng(0).choice(["hospital A", "hospital B"], len(y))
    assert verdicts(audit(X, y, source=anywhere))["source"] == "ok"


def test_file_properties_that_tell_the_class_are_a_shortcut(chests, tmp_path):
    X, y = chests
    paths = [tmp_path / f"{row}.{'png' if y[row] else 'jpg'}" for row in range(60)]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    assert verdicts(audit(paths, y, estimator=DummyClassifier()))["file properties"] == "fault"


def test_a_thumbnail_is_a_shortcut_only_where_it_is_nearly_as_good_as_the_estimator(chests):
    X, _ = chests
    y = np.arange(60) % 2
    X = np.where(y[:, None, None], X // 4, X)  # one class is darker

    class Oracle(DummyClassifier):
        def fit(self, X, y):
            return super().fit(X, y)

        def predict_proba(self, X):
            dark = X.max(axis=(1, 2)) < 64
            return np.column_stack([~dark, dark]).astype(float)

    good = verdicts(audit(X, y, estimator=Oracle()))
    assert good["brightness and contrast"] == good["thumbnail of 16x16"] == "warning"
    poor = verdicts(audit(X, y, estimator=DummyClassifier()))
    assert poor["brightness and contrast"] == poor["thumbnail of 16x16"] == "skipped"


def test_an_estimator_that_learns_permuted_labels_of_unseen_images_is_a_fault(chests):
    X, y = chests

    class Cheat(DummyClassifier):
        """Knows the labels of the test images, whatever they are."""

        def predict_proba(self, X):
            rows = [np.flatnonzero((X_all == image).all(axis=(1, 2)))[0] for image in X]
            return np.eye(3)[next(answers)[rows]]

    X_all = X
    seed = int(np.random.RandomState(0).randint(2**31))
    permuted = np.random.default_rng(seed).permutation(y)
    answers = iter([y, y, permuted, permuted])
    check = audit(X, y, estimator=Cheat()).checks["shortcuts"]
    assert check.verdict == "fault"
    assert "leaks through the procedure" in check.sentence


def test_planted_wrong_labels_are_suspected():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 60, (120, 32, 32)).astype(np.uint8)
    y = np.arange(120) % 2
    X[y == 1, 8:24, 8:24] += 120
    wrong = rng.choice(120, 8, replace=False)
    given = y.copy()
    given[wrong] = 1 - given[wrong]
    check = audit(X, given, cv=5, estimator=quick()).checks["labels"]
    assert check.verdict == "warning"
    assert {row["image"] for row in check.rows} == {f"X[{row}]" for row in wrong}


def test_label_suspects_are_the_counts_off_the_diagonal_of_the_confident_joint():
    # Thresholds are 0.7 and 0.6: the third image reaches none, the fourth that of the other class.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.55, 0.45], [0.3, 0.7], [0.25, 0.75]])
    probabilities = np.vstack([probabilities, [0.55, 0.45]])
    y = np.array([0, 0, 0, 0, 1, 1])
    rows, suggested = shortcuts.label_suspects(y, probabilities)
    assert (rows.tolist(), suggested.tolist()) == ([3], [1])


def test_the_interval_of_perfect_recognition_is_that_of_wilson():
    # Wilson, 10 of 10: 0.7225 to 1; two classes are joined by the root of the sum of squares.
    score = shortcuts.Score(np.ones(2), np.array([10, 10]))
    low, high = score.interval()
    assert high == 1
    assert low == pytest.approx(1 - 0.2775 / np.sqrt(2), abs=1e-3)


def test_images_of_one_group_count_as_one_observation(chests):
    X, y = chests
    patients = np.where(y == 0, np.arange(60) % 4, np.arange(60) + 10)
    wide, narrow = (audit(X, y, groups).checks["shortcuts"].rows[0] for groups in (patients, None))
    assert wide["high"] - wide["low"] > narrow["high"] - narrow["low"]


def test_small_classes_are_cross_validated_in_fewer_folds(chests):
    X, y = chests
    rows = np.r_[np.flatnonzero(y == 0)[:3], np.flatnonzero(y > 0)]
    report = audit(X[rows], y[rows], cv=5)
    assert "3 folds were used instead of 5" in report.checks["classes"].sentence
    assert "in 3 folds" in report.checks["shortcuts"].sentence


def test_a_class_in_one_group_is_too_small_to_cross_validate(chests):
    X, y = chests
    report = audit(X, y, np.where(y == 0, 0, np.arange(60) + 1))
    assert report.checks["shortcuts"].verdict == report.checks["labels"].verdict == "skipped"
    assert "too few to cross-validate" in report.checks["classes"].sentence
    assert "not tested" in report.conclusion


def test_an_unequal_set_is_told_what_the_largest_class_is_worth(chests):
    X, y = chests
    rows = np.r_[np.flatnonzero(y == 0)[:4], np.flatnonzero(y == 1)]
    check = audit(X[rows], y[rows]).checks["classes"]
    assert check.verdict == "warning"
    assert "'1' has an accuracy of 0.833" in check.sentence


def test_labels_of_the_test_set_that_cannot_be_learnt_are_named(chests):
    X, y = chests
    check = audit(X, y, None, X[:4], [0, 1, 2, 7]).checks["test labels"]
    assert check.verdict == "fault"
    assert check.rows == [{"label": "7", "test images": 1}]


def test_probabilities_that_are_there_only_after_fit_are_used(chests):
    X, y = chests
    flat = FunctionTransformer(lambda X: X.reshape(len(X), -1)[:, ::97])
    logistic = make_pipeline(flat, StandardScaler(), LogisticRegression())
    stacked = StackingClassifier([("logistic", logistic)], cv=2)
    assert not hasattr(stacked, "predict_proba")
    assert "predict_proba" not in audit(X, y, estimator=stacked).checks["labels"].sentence


def test_a_classifier_without_probabilities_is_taken(chests):
    X, y = chests

    class Largest(DummyClassifier):
        predict_proba = property()

    report = audit(X, y, estimator=Largest())
    assert report.checks["labels"].verdict == "skipped"
    assert report.checks["shortcuts"].rows[0]["score"] == pytest.approx(1 / 3)


def test_the_default_estimator_is_a_small_network_on_thumbnails(chests, monkeypatch):
    X, y = chests
    given = []

    class Quick(DummyClassifier):
        def __init__(self, image_size=None, epochs=None, random_state=None):
            super().__init__(random_state=random_state)
            self.image_size, self.epochs = image_size, epochs

        def fit(self, X, y):
            given.append((self.get_params()["random_state"], self.epochs, X.shape[1:], X.dtype))
            return super().fit(X, y)

    monkeypatch.setattr(classifiers, "CNNClassifier", Quick)
    audit(X, y, estimator=None)
    assert len(set(given)) == 1
    seed, epochs, shape, dtype = given[0]
    assert seed is not None
    assert (epochs, shape, dtype) == (10, (64, 64), np.uint8)


def test_an_estimator_is_fitted_on_the_labels_that_were_given(chests):
    X, y = chests
    names = np.array(["healthy", "type 1", "type 2"])[y]
    weight = {"healthy": 2, "type 1": 1, "type 2": 1}
    weighted = quick().set_params(logisticregression__class_weight=weight)
    report = audit(X, names, estimator=weighted)
    assert report.checks["labels"].verdict != "fault"
    np.testing.assert_allclose(
        audit(X, y, estimator=quick()).checks["shortcuts"].rows[0]["score"],
        report.checks["shortcuts"].rows[0]["score"],
        atol=0.1,
    )


def test_an_estimator_without_a_seed_gives_the_same_report_again(chests):
    X, y = chests
    guess = DummyClassifier(strategy="stratified")
    first, again = (audit(X, y, estimator=guess, random_state=3).to_dict() for _ in range(2))
    assert first == again
    assert guess.random_state is None


@pytest.mark.parametrize("seed", range(6))
def test_a_small_class_of_two_does_not_stop_the_run_with_permuted_labels(chests, seed):
    X, y = chests
    rows = np.r_[np.flatnonzero(y == 0)[:2], np.flatnonzero(y == 1)[:12]]
    report = audit(X[rows], y[rows], estimator=quick(), random_state=seed)
    assert report.checks["shortcuts"].rows[1]["score"] is not None


def test_the_same_seed_gives_the_same_report(chests):
    X, y = chests
    state = np.random.get_state()[1].copy()
    first, again = (audit(X, y, estimator=quick(), random_state=3).to_dict() for _ in range(2))
    assert first == again
    np.testing.assert_array_equal(state, np.random.get_state()[1])
    other = audit(X, y, estimator=quick(), random_state=4).to_dict()
    assert first["checks"][-1] != other["checks"][-1]


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


def test_a_view_is_a_fault_from_the_limit_that_the_report_states(chests):
    X, y = chests
    rows = audit(X, y, source=np.where(y == 0, "A", "B")).checks["shortcuts"].rows
    limit = 1 / 3 + 0.15 * (1 - 1 / 3)
    found = {row["seen"]: row for row in rows}
    for name in ("border alone", "source"):
        assert found[name]["limit"] == pytest.approx(limit)
        assert found[name]["lung"] == "not seen"
        assert (found[name]["verdict"] == "fault") == (found[name]["score"] >= limit)
    assert found["source"]["verdict"] == "fault"
    assert found["thumbnail of 16x16"]["limit"] is None
    assert found["thumbnail of 16x16"]["verdict"] == "skipped"  # the estimator is at chance


def test_few_images_are_said_to_be_few():
    X, y = make_chest_xrays(12, random_state=0)
    report = audit(X, y)
    check = report.checks["shortcuts"]
    assert check.verdict == "warning"
    # The lowest recall of which the interval, with 4 images a class, leaves chance out: by
    # bisection of Wilson's lower limit. Four views of the image and the permuted labels are tried.
    z = stats.norm.isf(0.01 / 4)

    def low(p, n=4):
        centre, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2)
        return p - (p - (centre - half) / (1 + z**2 / n)) / np.sqrt(3)

    weakest = optimize.brentq(lambda p: low(p) - 1 / 3, 0.4, 1)
    (said,) = re.findall(r"a view that scores about (0\.\d+) or more is found", check.sentence)
    assert float(said) == pytest.approx(weakest, abs=2e-3)
    assert report.conclusion.startswith("Nothing was found, but that says little")


def test_of_two_images_a_class_nothing_can_be_found(chests):
    X, y = chests
    rows = np.r_[np.flatnonzero(y == 0)[:2], np.flatnonzero(y == 1)[:2]]
    report = audit(X[rows], y[rows])
    assert report.checks["shortcuts"].verdict == "skipped"
    assert "not even a view that tells every image" in report.checks["shortcuts"].sentence
    assert "was not tested" in report.conclusion


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


def test_progress_is_printed_only_when_asked_for(chests, capsys):
    audit(*chests)
    assert capsys.readouterr().out == ""
    audit(*chests, verbose=1)
    out = capsys.readouterr().out
    assert "reading images of X: 60 of 60" in out
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


def test_the_repeats_in_the_real_images_are_found(real_data):
    X, y = load_image_folder(real_data / "lung-disease" / "train", return_X_y=True)
    report = audit(X, y)
    pairs = {
        tuple(sorted(row[name].split("/")[-1] for name in ("file", "other file")))
        for row in report.checks["duplicates"].rows
    }
    # Each was looked at, and is one image twice.
    assert pairs == {
        ("019.jpeg", "020.jpeg"),  # healthy; and two others of type 2
        ("093.jpeg", "094.jpeg"),
        ("057.jpeg", "078.jpeg"),
        ("COVID-00033.jpg", "COVID-00037.jpg"),
    }
    assert report.keep_.sum() == 251 - 5
    assert report.checks["readability"].verdict == "ok"
