"""The command line: each command is what the library does, its messages, files and exit status."""

import contextlib
import csv
import importlib
import io
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lungestimators import (
    BackboneFeatures,
    CNNClassifier,
    LungFields,
    load,
    load_image_folder,
    make_chest_xrays,
    save,
)
from lungestimators.command_line import main, predict
from lungestimators.networks import pool

from ..images.dicom_files import radiograph
from ..images.dicom_files import save as save_dicom

FIT = ("--model", "cnn", "--epochs", "1", "--image-size", "32")


def run(*arguments):
    """Run the command line in this process; return exit status, stdout and stderr."""
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        status = main([str(argument) for argument in arguments])
    return status, out.getvalue(), err.getvalue()


def make_images(folder, *, n_patients=4, seed=0):
    """Two classes of ``n_patients`` patients with two images each; "ill" has a bright square."""
    rng = np.random.default_rng(seed)
    for name in ("healthy", "ill"):
        for number in range(2 * n_patients):
            pixels = rng.integers(0, 100, (32, 32), np.uint8)
            pixels[8:24, 8:24] += np.uint8(120 * (name == "ill"))
            patient = number // 2 + 100 * (name == "ill")
            path = folder / name / f"patient{patient}-{number % 2}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    return folder


def damage(path):
    """Cut a file in its middle."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@pytest.fixture(scope="module")
def chest(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("data") / "chest")


@pytest.fixture(scope="module")
def fitted(chest, tmp_path_factory):
    """The file of a classifier, and the JSON document of the command that has fitted it."""
    out = tmp_path_factory.mktemp("models") / "chest.lung"
    status, document, _ = run("fit", chest, *FIT, "--folds", 2, "--out", out, "--json")
    assert status == 0
    return out, json.loads(document)


@pytest.fixture(scope="module")
def model(fitted):
    return fitted[0]


@pytest.fixture
def images(tmp_path):
    """New images, and one that is damaged."""
    folder = make_images(tmp_path / "new", n_patients=2, seed=1)
    damage(folder / "ill" / "patient100-0.png")
    return folder


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_fit_saves_the_classifier_that_python_would_fit(chest, model):
    lungs = load_image_folder(chest)
    clf = CNNClassifier(image_size=32, epochs=1, random_state=0).fit(lungs.data, lungs.target)
    with pytest.warns(UserWarning, match="16 of 16 images were used to fit"):
        found = load(model).predict_proba(lungs.data)
    assert (found == clf.predict_proba(lungs.data)).all()


def test_fit_cross_validates_and_keeps_patients_together(fitted):
    _, document = fitted
    assert document["n_images"] == 16 and document["n_patients"] == 8
    assert document["classes"] == {"healthy": 8, "ill": 8}
    scores = document["cross_validation"]
    right = np.diag(scores["confusion"])
    assert np.sum(scores["confusion"]) == 16
    assert scores["sensitivity"]["ill"]["value"] == right[1] / 8
    balanced = scores["balanced_accuracy"]
    assert balanced["value"] == pytest.approx(right.mean() / 8)
    assert balanced["low"] < balanced["value"] <= balanced["high"]
    # Wilson's interval of 4 patients, not of 8 images
    assert scores["sensitivity"]["ill"]["high"] - scores["sensitivity"]["ill"]["low"] > 0.45


def test_the_scores_of_the_cross_validation_are_shown_if_the_last_fit_fails(
    chest, tmp_path, monkeypatch
):
    monkeypatch.setattr(CNNClassifier, "save", lambda *_, **__: 1 / 0)
    options = ("--folds", 2, "--out", tmp_path / "chest.lung")
    status, _, said = run("fit", chest, *FIT, *options)
    assert status == 3
    assert said.count("balanced accuracy (mean sensitivity)") == 1


def test_fit_leaves_out_what_cannot_be_read_and_the_images_to_test_on(chest, tmp_path):
    for name in ("train", "test"):
        shutil.copytree(chest, tmp_path / "parts" / name)
    bad = damage(tmp_path / "parts" / "train" / "ill" / "patient100-0.png")
    out = tmp_path / "parts.lung"
    fit = ("fit", tmp_path / "parts", *FIT, "--folds", 0, "--out", out, "--description", "Squares.")
    status, text, messages = run(*fit)
    assert status == 1
    assert f"1 file cannot be read:\n  {bad}: " in text
    assert "Images of test/ are not learnt from: 16 images of 8 patients" in messages
    status, text, _ = run("info", out)
    assert status == 0
    assert "Squares." in text and "learnt from  15 images, in 1 epoch" in text
    status, text, _ = run("evaluate", out, tmp_path / "parts", "--json")
    assert (json.loads(text)["part"], json.loads(text)["n_images"]) == ("test", 16)


def test_fit_says_that_patients_are_not_known(tmp_path):
    for number, path in enumerate(make_images(tmp_path / "chest").rglob("*.png")):
        path.rename(path.with_name(f"{number}.png"))
    fit = ("fit", tmp_path / "chest", *FIT, "--folds", 2, "--out", tmp_path / "a.lung")
    _, text, _ = run(*fit)
    assert "It is not known which images show the same patient." in text


def test_evaluate_scores_the_predictions_of_the_classifier(model, tmp_path):
    folder = make_images(tmp_path / "other", n_patients=3, seed=5)
    lungs = load_image_folder(folder)
    status, text, _ = run("evaluate", model, folder, "--json")
    assert status == 0
    found = json.loads(text)
    predicted = load(model).predict(lungs.data)
    assert found["accuracy"]["value"] == np.mean(predicted == lungs.target)
    for name in ("healthy", "ill"):
        is_class = lungs.target == name
        assert found["sensitivity"][name]["value"] == np.mean(predicted[is_class] == name)
    assert found["n_known"] == 0 and found["n_patients"] == 6
    assert found["roc_auc"]["value"] is not None


def test_evaluate_says_which_images_were_learnt_from(model, chest):
    status, text, _ = run("evaluate", model, chest)
    assert status == 0
    assert "The classifier learnt from at least 16 of these 16 images." in text


def test_evaluate_says_where_it_is_not_known_which_images_were_learnt_from(chest, tmp_path):
    lungs = load_image_folder(chest)
    features = BackboneFeatures("MobileNet", alpha=0.25, weights=None, image_size=32)
    pipeline = make_pipeline(features, LogisticRegression()).fit(lungs.data, lungs.target)
    save(pipeline, tmp_path / "features.lung")
    status, text, _ = run("evaluate", tmp_path / "features.lung", chest)
    assert status == 0
    assert "does not say which images it learnt from" in " ".join(text.split())


def test_evaluate_says_which_patients_have_images_in_another_part(model, tmp_path):
    make_images(tmp_path / "parts" / "train", n_patients=3)
    make_images(tmp_path / "parts" / "test", n_patients=2, seed=1)
    status, text, _ = run("evaluate", model, tmp_path / "parts")
    assert status == 0
    assert "Of 4 patients there are images outside of test/, too." in " ".join(text.split())


def test_evaluate_refuses_a_folder_of_other_classes(model, chest, tmp_path):
    shutil.copytree(chest, tmp_path / "other")
    (tmp_path / "other" / "ill").rename(tmp_path / "other" / "sick")
    status, _, message = run("evaluate", model, tmp_path / "other")
    assert status == 2
    assert "('healthy', 'sick') are not those of" in message


def test_predict_lists_every_file_in_order_with_answer_or_reason(model, images, tmp_path):
    dicom = save_dicom(tmp_path / "1.dcm", radiograph())
    good = str(images / "healthy" / "patient0-0.png")
    given = [good, dicom, tmp_path / "none.png", images, good]
    out = tmp_path / "predictions.csv"
    status, text, _ = run("predict", model, *given, "--out", out)
    assert status == 1
    assert "answers for 10 of 12 images" in text
    rows = rows_of(out)
    names = [Path(row["file"]).name for row in rows]
    new = [f"patient{n}-{view}.png" for n in (0, 1, 100, 101) for view in range(2)]
    assert names == ["patient0-0.png", "1.dcm", "none.png", *new, "patient0-0.png"]
    bad = {Path(row["file"]).name: row for row in rows if row["reason"]}
    assert set(bad) == {"none.png", "patient100-0.png"}
    assert bad["none.png"]["reason"] == "there is no such file"
    assert bad["none.png"]["prediction"] == bad["none.png"]["probability_ill"] == ""
    readable = [row for row in rows if not row["reason"]]
    clf = load(model)
    expected = clf.predict_proba([row["file"] for row in readable])
    found = [[float(row[f"probability_{name}"]) for name in clf.classes_] for row in readable]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert [row["prediction"] for row in readable] == clf.classes_[expected.argmax(1)].tolist()


def test_predict_gives_the_same_answers_in_parts(model, images, tmp_path, monkeypatch):
    run("predict", model, images, "--out", tmp_path / "at-once.csv")
    monkeypatch.setattr(predict, "_AT_ONCE", 3)
    run("predict", model, images, "--out", tmp_path / "in-parts.csv")
    assert (tmp_path / "at-once.csv").read_bytes() == (tmp_path / "in-parts.csv").read_bytes()


def test_predict_and_evaluate_run_networks_by_onnx_runtime(
    model, chest, images, tmp_path, monkeypatch
):
    by_keras, by_onnx = tmp_path / "keras.csv", tmp_path / "onnx.csv"
    run("predict", model, images, "--out", by_keras)
    scores = run("evaluate", model, chest, "--json")
    monkeypatch.setattr(pool, "borrow_network", lambda *arguments: pytest.fail("Keras was used"))
    options = ("--runtime", "onnxruntime")
    assert run("predict", model, images, "--out", by_onnx, *options)[0] == 1
    for a, b in zip(rows_of(by_keras), rows_of(by_onnx), strict=True):
        assert (a["file"], a["prediction"], a["reason"]) == (
            b["file"],
            b["prediction"],
            b["reason"],
        )
        if not a["reason"]:
            found = float(b["probability_ill"])
            assert found == pytest.approx(float(a["probability_ill"]), abs=1e-5)
    status, text, _ = run("evaluate", model, chest, "--json", *options)
    assert (status, json.loads(text)["n_images"]) == (0, json.loads(scores[1])["n_images"])
    with pytest.raises(SystemExit, match="2"):
        run("predict", model, images, "--runtime", "tensorrt")


def test_predict_counts_known_images_of_all_parts(model, chest, monkeypatch):
    monkeypatch.setattr(predict, "_AT_ONCE", 5)
    status, text, messages = run("predict", model, chest, "--json")
    assert status == 0
    assert json.loads(text)["n_known"] == 16
    assert "note" not in messages


def test_an_interrupted_prediction_keeps_what_is_done(model, images, tmp_path, monkeypatch):
    parts = []

    def predict_two_parts(*arguments):
        if len(parts) == 2:
            raise KeyboardInterrupt
        parts.append(arguments)
        return predict_files(*arguments)

    predict_files = predict.predict_files
    monkeypatch.setattr(predict, "_AT_ONCE", 2)
    monkeypatch.setattr(predict, "predict_files", predict_two_parts)
    out = tmp_path / "predictions.csv"
    status, text, message = run("predict", model, images, "--out", out)
    assert (status, text) == (130, "")
    assert "interrupted after 4 of 8 images" in message
    assert not out.exists()
    assert len(rows_of(f"{out}.unfinished")) == 4


def test_the_answers_of_an_interrupted_prediction_are_not_replaced(model, images, tmp_path):
    (tmp_path / "out.csv.unfinished").write_text("answers")
    status, _, said = run("predict", model, images, "--out", tmp_path / "out.csv")
    assert status == 2
    assert "holds what was done before an interruption" in said
    assert (tmp_path / "out.csv.unfinished").read_text() == "answers"
    assert run("predict", model, images, "--out", tmp_path / "out.csv", "--force")[0] == 1
    assert not (tmp_path / "out.csv.unfinished").exists()


def test_an_image_without_lungs_costs_no_answer_of_the_others(tmp_path):
    X, y = make_chest_xrays(12, difficulty=0, random_state=0)
    clf = CNNClassifier(image_size=32, epochs=1, random_state=0)
    save(make_pipeline(LungFields(), clf).fit(X, y.astype(str)), tmp_path / "lungs.lung")
    X[4] = 0
    for number, image in enumerate(X):
        Image.fromarray(image).save(tmp_path / f"{number:02}.png")
    paths = sorted(tmp_path.glob("*.png"))
    status, _, _ = run("predict", tmp_path / "lungs.lung", *paths, "--out", tmp_path / "out.csv")
    assert status == 1
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["prediction"]) for row in rows] == [number != 4 for number in range(12)]
    assert "Two lungs were not found" in rows[4]["reason"]


def test_no_cell_is_a_formula(fitted, chest, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(next(chest.rglob("*.png")), tmp_path / "=1+1.png")
    assert run("predict", fitted[0], "=1+1.png", "--out", "out.csv")[0] == 0
    with open("out.csv", encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["file"] == "'=1+1.png"


def test_a_fault_of_the_program_has_a_status_of_its_own(model, images, monkeypatch):
    monkeypatch.setattr(predict, "load_classifier", lambda path, runtime: 1 / 0)
    status, _, said = run("predict", model, images)
    assert status == 3
    assert "ZeroDivisionError" in said
    assert said.endswith("this is a fault of the program, not of what you asked for\n")


def test_predict_shows_answers_on_the_screen(model, images):
    path = images / "healthy" / "patient0-0.png"
    status, text, _ = run("predict", model, path)
    assert status == 0
    header, answer = text.splitlines()
    assert header.split() == ["file", "prediction", "healthy", "ill"]
    assert answer.split()[0] == str(path)


def test_predict_follows_the_threshold_of_a_classifier(model, images, tmp_path):
    path = str(images / "healthy" / "patient0-0.png")
    clf = load(model)
    probability = clf.predict_proba([path])[0, 1]
    # just below the probability or just above it, whichever argmax would not choose
    threshold = probability * (1.01 if probability > 0.5 else 0.99)
    moved = FixedThresholdClassifier(FrozenEstimator(clf), threshold=threshold, pos_label="ill")
    lungs = load_image_folder(images)
    kept = [p for p in lungs.data if "patient100-0" not in p]
    moved.fit(kept, [Path(p).parent.name for p in kept])
    save(moved, tmp_path / "moved.lung")
    answers = [
        json.loads(run("predict", file, path, "--json")[1])["predictions"][0]["prediction"]
        for file in (model, tmp_path / "moved.lung")
    ]
    assert sorted(answers) == ["healthy", "ill"]
    assert answers[1] == moved.predict([path])[0]


def test_audit_finds_what_cannot_be_read_and_writes_a_page(images, tmp_path):
    page = tmp_path / "audit.html"
    checks = ("--checks", "readability,duplicates")
    status, text, _ = run("audit", images, *checks, "--html", page)
    assert status == 1
    assert "[fault] readability" in text and "patient100-0.png" in text
    assert "[not run]" in text
    *lines, last = text.splitlines()
    assert max(map(len, lines)) < 80 and last.endswith(str(page))
    assert "<table>" in page.read_text() and "1 of 8 images cannot be read." in page.read_text()


def test_a_page_never_replaces_an_image(tmp_path):
    chest = make_images(tmp_path / "chest")
    image = next(chest.rglob("*.png"))
    before = image.read_bytes()
    status, _, said = run("audit", chest, "--html", image, "--force", "--checks", "duplicates")
    assert status == 2
    assert "is one of the files to read" in said
    assert image.read_bytes() == before


def test_audit_looks_for_images_of_the_test_part_in_the_other_part(chest, tmp_path):
    for name in ("train", "test"):
        shutil.copytree(chest, tmp_path / name)
    status, text, _ = run("audit", tmp_path, "--checks", "leaks,readability", "--json")
    report = json.loads(text)
    assert status == 1 and report["verdict"] == "fault"
    assert report["leaked"] == [True] * 16


def test_an_audit_without_a_fault_has_the_status_0(chest):
    status, text, _ = run("audit", chest, "--checks", "readability")
    assert status == 0
    assert "[ok] readability" in text


@pytest.mark.parametrize("there", ["file", "folder", "nowhere", "input"])
def test_a_file_that_must_not_be_written_is_refused_before_any_work(model, images, tmp_path, there):
    path = images / "healthy" / "patient0-0.png"
    out, said, force = {
        "file": (tmp_path / "there.csv", "is there already", ()),
        "folder": (tmp_path, "is a folder", ()),
        "nowhere": (tmp_path / "none" / "a.csv", "There is no folder", ()),
        "input": (path, "is one of the files to read", ("--force",)),
    }[there]
    (tmp_path / "there.csv").write_text("kept")
    before = path.read_bytes()
    broken = tmp_path / "broken.lung"  # is never looked at
    status, text, message = run("predict", broken, path, "--out", out, *force)
    assert (status, text) == (2, "")
    assert said in message
    assert (tmp_path / "there.csv").read_text() == "kept" and path.read_bytes() == before
    assert not list(tmp_path.rglob("*.unfinished"))


def test_force_replaces_a_file(model, images, tmp_path):
    out = tmp_path / "there.csv"
    out.write_text("old")
    path = images / "healthy" / "patient0-0.png"
    assert run("predict", model, path, "--out", out, "--force")[0] == 0
    assert len(rows_of(out)) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("info", "none.lung"), "'none.lung': No such file or directory"),
        (("info", "{folder}/ill/patient100-0.png"), "is a file of another program"),
        (("audit", "nowhere"), "'nowhere' is no folder: there is none"),
        (("audit", "{folder}", "--checks", "nothing"), "unknown names: ['nothing']"),
        (("fit", "{folder}", *FIT, "--out", "{new}", "--folds", 6), "'healthy' has 4 patients"),
        (
            ("fit", "{folder}", *FIT, "--out", "{new}", "--group", "("),
            "group='(' is not a regular expression",
        ),
        (("predict", "{scaler}", "{folder}"), "gives no probabilities"),
        (("export", "{scaler}", "{new}.onnx"), "gives no probabilities"),
        (("export", "none.lung", "{new}"), "no format has the suffix '.lung'"),
        (("export", "none.lung", "{folder}"), "is there already"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_the_status_2(arguments, said, chest, tmp_path):
    scaler = tmp_path / "scaler.lung"
    if "{scaler}" in arguments:
        save(StandardScaler().fit(np.eye(2)), scaler)
    paths = {"folder": chest, "new": tmp_path / "new.lung", "scaler": scaler}
    given = [str(argument).format(**paths) for argument in arguments]
    status, text, messages = run(*given)
    assert (status, text) == (2, "")
    *_, line = messages.splitlines()
    assert line.startswith("lungestimators: ")
    assert said in line
    assert not (tmp_path / "new.lung").exists()
    status, text, _ = run(*given, "--json")
    assert status == 2
    assert said in json.loads(text)["error"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("fit", "chest", "--model", "vgg", "--out", "a"), "invalid choice: 'vgg'"),
        (("fit", "chest", *FIT, "--out", "a", "--folds", "1"), "1 fold leaves no images"),
        (("fit", "chest", *FIT, "--out", "a", "--seed", "-1"), "'-1' is no whole number"),
    ],
)
def test_a_wrong_argument_is_one_line_that_names_the_help(arguments, said, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and "--help explains it" in line


@pytest.mark.parametrize("command", ["audit", "fit", "evaluate", "predict", "info", "export"])
def test_the_help_of_a_command_has_an_example_and_fits_a_terminal(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert "example" in text and f"  lungestimators {command} chest" in text
    assert "exit status:" in text
    assert max(map(len, text.splitlines())) < 80


def test_help_loads_neither_a_framework_nor_scikit_learn():
    program = (
        "import sys\nfrom lungestimators.command_line import main\n"
        "try:\n    main(['--help'])\nfinally:\n    print(sorted(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0 and "evaluate" in done.stdout
    loaded = {name.split(".")[0] for name in eval(done.stderr)}
    assert not {"tensorflow", "keras", "optuna", "sklearn", "numpy"} & loaded


def test_the_entry_point_leads_to_main():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    module, _, name = tomllib.loads(text)["project"]["scripts"]["lungestimators"].partition(":")
    assert getattr(importlib.import_module(module), name) is main


@pytest.mark.slow
def test_python_m_lungestimators_runs_the_command_line(model, images):
    path = str(images / "healthy" / "patient0-0.png")

    def start(*arguments):
        command = [sys.executable, "-m", "lungestimators", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True)

    done = start("predict", model, path, "--json")
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)["predictions"]
    probabilities = load(model).predict_proba([path])[0]
    np.testing.assert_allclose(list(answer["probabilities"].values()), probabilities, atol=1e-6)
    full = Path("/dev/full")
    if full.exists():
        with full.open("w") as file:
            command = [sys.executable, "-m", "lungestimators", "info", model]
            done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert line.startswith("lungestimators: the result cannot be printed")
    done = start("info", path)
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_export_writes_a_network_and_says_what_it_takes(model, tmp_path):
    out = tmp_path / "chest.onnx"
    environment = dict(os.environ)
    status, text, said = run("export", model, out)
    assert (status, said) == (0, "") and dict(os.environ) == environment
    assert text.splitlines() == [
        f"Exported: {out}",
        "",
        "takes  colour images, 32 pixels high and 32 wide, float32 from 0 (black) to 1",
        "       (white)",
        "gives  probabilities of healthy, ill",
    ]
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape[1:] == [32, 32, 3]
    status, text, said = run("export", model, out)
    assert status == 2 and "is there already: name another file, or replace it by --force" in said
    status, text, _ = run("export", model, out, "--force", "--json")
    document = json.loads(text)
    assert (
        status == 0 and document["out"] == [str(out)] and document["labels"] == ["healthy", "ill"]
    )
    assert document["input"]["files_read_by"] == "ImageReader(image_size=32, channels=3)"


def test_export_replaces_no_folder_and_no_second_file_without_force(model, tmp_path):
    out = tmp_path / "chest"
    assert run("export", model, f"{out}/")[0] == 0 and (out / "saved_model.pb").exists()
    assert "is there already" in run("export", model, out)[2]
    assert run("export", model, out, "--force")[0] == 0
    (out / "notes.txt").write_text("kept")
    assert "holds 'notes.txt'" in run("export", model, out, "--force")[2]
    (tmp_path / "chest.bin").write_text("kept")
    assert "chest.bin' is there already" in run("export", model, tmp_path / "chest.xml")[2]
    assert (
        "one of the files to read" in run("export", model, model, "--format", "onnx", "--force")[2]
    )


@pytest.mark.slow
def test_export_runs_on_tensorflow_whatever_keras_would_run_on(model, tmp_path):
    command = [sys.executable, "-m", "lungestimators", "export", model, tmp_path / "chest.onnx"]
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "chest.onnx").exists()
