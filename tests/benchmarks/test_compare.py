"""The comparison script, as a user calls it."""

import html
import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from PIL import Image
from scipy import stats

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SMALL = ["--weights", "none", "--set", "CNN.image_size=16", "--set", "CNN.epochs=3"]
SMALL += ["--set", "CNN.filters=(4,8)"]


@pytest.fixture(scope="module")
def compare():
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("compare")
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "data")


def make_folder(path, classes=("a", "b", "c"), n=12):
    rng = np.random.default_rng(0)
    for number, name in enumerate(classes):
        (path / name).mkdir(parents=True)
        for i in range(n):
            pixels = rng.integers(80 * number, 80 * number + 60, (16, 16), np.uint8)
            Image.fromarray(pixels).save(path / name / f"{i}.png")
    return path


def bad_arguments(tmp_path):
    """Name -> (arguments, what the message says)."""
    good = make_folder(tmp_path / "good")
    (tmp_path / "empty").mkdir()
    make_folder(tmp_path / "one", classes=["a"])
    make_folder(tmp_path / "splits" / "train", classes=["a", "b"])
    make_folder(tmp_path / "splits" / "test", classes=["a", "c"])
    np.savez(tmp_path / "other.npz", X=np.zeros(3))
    (tmp_path / "broken.npz").write_bytes(b"PK broken")
    labels = np.zeros((4, 14), np.uint8)
    images = np.zeros((4, 28, 28), np.uint8)
    np.savez(
        tmp_path / "multi.npz",
        train_images=images,
        train_labels=labels,
        val_images=images,
        val_labels=labels,
    )
    (tmp_path / "file").write_text("in the way")
    return {
        "difficulty": (["--difficulty", "2"], "difficulty=2.0 must be between 0 and 1"),
        "no such data": (["--data", "nowhere"], "nowhere"),
        "no such file": (["--data", "nowhere.npz"], "nowhere.npz"),
        "no image": (["--data", tmp_path / "empty"], "two or more"),
        "one class": (["--data", tmp_path / "one"], "two or more"),
        "other classes": (["--data", tmp_path / "splits"], "differ"),
        "few images": (["--data", good, "--folds", "13"], "too few for 13 folds"),
        "value": (["--data", good, "--models", "CNN", "--set", "CNN.epochs=-1"], "epochs"),
        "weights": (
            ["--data", good, "--models", "MobileNet", "--set", "MobileNet.weights=no.h5"],
            "no.h5",
        ),
        "broken archive": (["--data", tmp_path / "broken.npz"], "broken.npz"),
        "many labels": (["--data", tmp_path / "multi.npz"], "not one an image"),
        "output in the data": (["--data", good, "--out", good / "out"], "taken for images"),
        "published setting": (["--protocol", "published", "--set", "CNN.epochs=2"], "leave out"),
        "published lungs": (["--protocol", "published", "--lungs", "crop"], "leave out --lungs"),
        "output and check": (["--data", good, "--check", "--out", tmp_path], "leave out --out"),
        "other arrays": (["--data", tmp_path / "other.npz"], "lacks train_images"),
        "parameter": (["--data", good, "--set", "CNN.colour=3"], "colour"),
        "set": (["--data", good, "--set", "GAN.alpha=3"], "MODEL.PARAMETER=VALUE"),
        "model": (["--data", good, "--models", "GAN"], "there are CNN"),
        "folds": (["--data", good, "--folds", "1"], "--folds"),
        "output": (["--data", good, "--out", tmp_path / "file" / "out"], "cannot be written"),
        "nothing committed": (["--data", good, "--check"], "no committed results"),
        "quick check": (["--data", good, "--check", "--quick"], "--quick"),
        "no published model": (["--protocol", "published", "--models", "Majority"], "choose among"),
    }


@pytest.mark.slow
def test_bad_arguments_are_one_line_and_status_2(compare, tmp_path, capsys):
    for name, (arguments, message) in bad_arguments(tmp_path).items():
        if "--out" not in arguments and "--check" not in arguments:
            arguments = [*arguments, "--out", tmp_path / "out"]
        assert compare.main([str(argument) for argument in arguments]) == 2, name
        printed = capsys.readouterr()
        assert message in printed.err, name
        assert printed.err.count("\n") == 1, name
        assert printed.out == "", name


def test_it_prints_a_table_and_writes_results_figures_and_a_page(compare, folder, capsys, tmp_path):
    out = tmp_path / "out"
    argv = ["--data", folder, "--models", "CNN", "Majority", "Thumbnails", "--folds", "2"]
    argv = [str(argument) for argument in [*argv, "--out", out, *SMALL]]
    assert compare.main(argv) == 0
    printed = capsys.readouterr().out
    assert "| CNN " in printed
    assert "0.485" in printed
    state = json.loads((out / "results.json").read_text())
    assert not (out / "unfinished.json").exists()
    cnn, majority, thumbnails = state["rows"]
    assert len(cnn["scores"]) == 2
    assert cnn["accuracy"] == pytest.approx(np.mean([s["accuracy"] for s in cnn["scores"]]))
    assert cnn["interval"][0] <= cnn["accuracy"] <= cnn["interval"][1]
    assert majority["accuracy"] == pytest.approx(1 / 3)
    assert majority["balanced_accuracy"] == pytest.approx(1 / 3)
    assert thumbnails["accuracy"] == 1  # the classes differ by brightness
    assert thumbnails["parameters"] == 3 * 256 + 3
    text = (out / "results.md").read_text()
    assert "compare.py --data" in text
    (pair,) = [p for p in state["differences"]["pairs"] if p["second"] == "majority class"][-1:]
    assert pair["first"] == "logistic regression, 16x16"
    for shown in (printed, text, (out / "report.html").read_text()):
        for sentence in (state["differences"]["conclusion"], pair["sentence"]):
            assert html.unescape(sentence) in html.unescape(shown)
    assert 0 < thumbnails["log_loss"] < majority["log_loss"] == pytest.approx(np.log(3))
    assert majority["brier"] == pytest.approx(2 / 3)
    page = (out / "report.html").read_text()
    drawn = {path.name for path in (out / "figures").iterdir()}
    assert drawn == {
        "accuracy.png",
        "samples.png",
        "classes.png",
        "training-CNN.png",
        "confusion.png",
        "roc.png",
    }
    assert page.count("data:image/png;base64,") == len(drawn)
    assert 'src="http' not in page
    assert "href=" not in page


@pytest.mark.slow
def test_an_interrupted_run_goes_on_with_the_models_that_were_finished(
    compare, folder, capsys, tmp_path, monkeypatch
):
    argv = ["--data", folder, "--models", "Majority", "Thumbnails", "--folds", "2"]
    argv = [str(argument) for argument in [*argv, "--out", tmp_path / "out"]]
    evaluate = compare.evaluate

    def interrupted(name, *arguments):
        if name == "Thumbnails":
            raise KeyboardInterrupt
        return evaluate(name, *arguments)

    monkeypatch.setattr(compare, "evaluate", interrupted)
    assert compare.main(argv) == 130
    assert "Interrupted" in capsys.readouterr().err
    monkeypatch.setattr(compare, "evaluate", evaluate)
    assert compare.main(argv) == 0
    printed = capsys.readouterr().out
    assert "had finished: audit, Majority" in printed
    assert "audit_images" not in printed
    assert "Majority: fit" not in printed
    assert "Thumbnails: fit 2 of 2" in printed
    assert compare.main(argv) == 0  # a run that was finished starts anew
    assert "Majority: fit" in capsys.readouterr().out


@pytest.mark.slow
def test_test_images_that_repeat_training_images_are_scored_apart(compare, capsys, tmp_path):
    rng = np.random.default_rng(0)
    for part, n_images in (("train", 8), ("test", 4)):
        for number, name in enumerate(("a", "b")):
            folder = tmp_path / "lungs" / part / name
            folder.mkdir(parents=True)
            for i in range(n_images):
                pixels = rng.integers(0, 100 + 100 * number, (32, 32), np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    leaked = tmp_path / "lungs" / "train" / "a" / "0.png"
    Image.open(leaked).save(tmp_path / "lungs" / "test" / "a" / "0.png")
    argv = ["--data", tmp_path / "lungs", "--models", "Majority", "--out", tmp_path / "out"]
    assert compare.main([str(argument) for argument in argv]) == 0
    printed = capsys.readouterr().out
    assert printed.index("**Audit.**") < printed.index("| model")
    assert "1 of 8 images of X_test is also in X" in printed
    table = printed[printed.index("| model") :]
    header, _, line = [row for row in table.splitlines() if row.startswith("|")]
    columns = [[cell.strip() for cell in row.split("|")] for row in (header, line)]
    found = dict(zip(*columns, strict=True))
    assert (found["accuracy"], found["without leaks"]) == ("0.500", "0.429")  # 4 of 8, 3 of 7
    assert [name for name in found if name.startswith("95 %")] == ["95 % interval"]
    low, high = stats.binomtest(4, 8).proportion_ci(method="wilson")
    assert found["95 % interval"] == f"{low:.3f} to {high:.3f}"
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["rows"][0]["without_leaks"]["n_test"] == 7
    assert str(tmp_path) not in json.dumps(results["audit"])
    assert "1 of 8 images of X_test is also in X" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.slow
def test_folds_keep_a_patient_together_where_names_say_who_it_is(compare, capsys, tmp_path):
    rng = np.random.default_rng(0)
    for number, name in enumerate(("a", "b")):
        for patient in range(4):
            folder = tmp_path / "lungs" / name / f"patient{4 * number + patient}"
            folder.mkdir(parents=True)
            for view in range(3):
                Image.fromarray(rng.integers(0, 255, (16, 16), np.uint8)).save(
                    folder / f"{view}.png"
                )
    argv = ["--data", tmp_path / "lungs", "--models", "Majority", "--folds", "2"]
    assert compare.main([str(argument) for argument in [*argv, "--out", tmp_path / "out"]]) == 0
    printed = capsys.readouterr().out
    assert "2-fold stratified cross-validation by patient (8)" in printed
    assert "95 % by folds | 95 % by groups |" in printed
    assert "95 % by groups: how far the score may move" in printed
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    first, second = ({row // 3 for row in fold["rows"]} for fold in results["rows"][0]["scores"])
    assert not first & second


@pytest.mark.slow
def test_an_interrupted_run_on_other_images_is_not_taken_up(compare, folder, capsys, tmp_path):
    argv = ["--data", folder, "--models", "Majority", "--folds", "2", "--out", tmp_path / "out"]
    argv = [str(argument) for argument in argv]
    assert compare.main(argv) == 0
    file = tmp_path / "out" / "results.json"
    file.rename(tmp_path / "out" / "unfinished.json")
    capsys.readouterr()
    Image.fromarray(np.full((16, 16), 77, np.uint8)).save(folder / "a" / "0.png")
    assert compare.main(argv) == 0
    assert "had finished" not in capsys.readouterr().out


@pytest.mark.slow
def test_check_fails_below_the_committed_interval_only(compare, folder, capsys, monkeypatch):
    monkeypatch.setattr(compare, "RESULTS", folder.parent / "results")
    argv = ["--data", str(folder), "--models", "Thumbnails", "--folds", "2"]
    assert compare.main(argv) == 0
    assert compare.main([*argv, "--check"]) == 0
    file = folder.parent / "results" / "data" / "results.json"
    state = json.loads(file.read_text())
    state["rows"][0]["interval"] = [1.01, 1.02]
    file.write_text(json.dumps(state))
    capsys.readouterr()
    assert compare.main([*argv, "--check"]) == 1
    assert "is below the committed 1.010" in capsys.readouterr().out
    assert compare.main([*argv, "--check", "--seed", "1"]) == 2
    assert "were made by" in capsys.readouterr().err


@pytest.mark.slow
def test_a_medmnist_file_is_trained_on_train_and_scored_on_val(compare, tmp_path, capsys):
    rng = np.random.default_rng(0)
    y = np.arange(40)[:, None] % 2
    X = (rng.integers(0, 100, (40, 28, 28)) + 100 * y[:, :, None]).astype(np.uint8)
    arrays = dict(train_images=X, train_labels=y, val_images=X[:10], val_labels=y[:10])
    np.savez(tmp_path / "m.npz", **arrays)
    argv = ["--data", str(tmp_path / "m.npz"), "--models", "Thumbnails", "Majority"]
    assert compare.main([*argv, "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "trained on 40, scored on 10" in printed
    assert "p of the accuracy: McNemar's exact test" in printed
    assert (tmp_path / "out" / "figures" / "calibration.png").exists()


@pytest.mark.slow
def test_two_processes_score_as_one(compare, folder, tmp_path):
    get_reusable_executor().shutdown(wait=True)  # other tests' workers do not find benchmarks/
    argv = ["--data", str(folder), "--models", "CNN", "--folds", "2", *SMALL]
    found = []
    for n_jobs in ("1", "2"):
        out = tmp_path / n_jobs
        assert compare.main([*argv, "--n-jobs", n_jobs, "--out", str(out)]) == 0
        (row,) = json.loads((out / "results.json").read_text())["rows"]
        found.append([score["probabilities"] for score in row["scores"]])
    assert found[0] == found[1]


def problem_of(name):
    """What choose_weights looks at in a problem."""
    return SimpleNamespace(name=name, synthetic=name == "synthetic")


def test_networks_have_the_weights_of_the_package_unless_others_are_asked_for(compare):
    models = sys.modules["comparison.models"]
    names = ["CNN", "MobileNet", "DenseNet", "MobileNetV2", "Majority"]
    settings = models.read_settings(["MobileNet.weights=file.h5"])
    problem = problem_of("synthetic")
    assert models.default_weights(problem) == "chest"
    said = models.choose_weights("chest", names, settings, problem)
    assert said.startswith("CNN and DenseNet: weights of the package")
    assert said.endswith("MobileNetV2: ImageNet weights.")
    assert settings["MobileNet"] == {"weights": "file.h5"}
    assert settings["DenseNet"] == {"weights": "chest"}
    settings = models.read_settings(["MobileNet.alpha=0.5"])
    said = models.choose_weights("none", names, settings, problem)
    assert said == "CNN, MobileNet, DenseNet and MobileNetV2: random weights."
    assert settings["MobileNet"]["weights"] is None
    assert settings["MobileNet"]["alpha"] == 0.5
    settings = models.read_settings([])
    said = models.choose_weights("imagenet", names, settings, problem)
    assert said.startswith("MobileNet, DenseNet and MobileNetV2: ImageNet weights.")
    assert {settings[name]["image_size"] for name in names[1:4]} == {224}


@pytest.mark.parametrize("name", ["pneumoniamnist_train_val", "PneumoniaMNIST"])
def test_weights_that_have_seen_the_images_are_asked_for_or_not_used(compare, name):
    models = sys.modules["comparison.models"]
    problem = problem_of(name)
    assert models.default_weights(problem) == "none"
    assert "SEEN" not in models.choose_weights("none", ["CNN"], models.read_settings([]), problem)
    for choice, given in (("chest", []), ("none", ["CNN.weights=chest"])):
        said = models.choose_weights(choice, ["CNN"], models.read_settings(given), problem)
        assert "SEEN IN PRE-TRAINING" in said


def test_of_other_real_sets_it_says_where_to_look_what_the_weights_have_seen(compare):
    models = sys.modules["comparison.models"]
    said = models.choose_weights("chest", ["CNN"], models.read_settings([]), problem_of("hospital"))
    assert "docs/weights.md names the sets" in said
    assert "SEEN" not in said


def test_the_figure_says_from_which_weights_a_network_started(compare):
    title = sys.modules["comparison.report"]._title_with_weights
    row = dict(title="CNN", parameters_set={"weights": "None"})
    assert title(row) == "CNN\nrandom weights"
    assert title(row | dict(parameters_set={"weights": "folder/file.h5"})) == (
        "CNN\nweights: file.h5"
    )
    assert title(row | dict(parameters_set={"strategy": "prior"})) == "CNN"


def test_shuffled_predictions_score_at_chance_however_right_they_are(compare):
    both_ways = importlib.import_module("comparison.published").both_ways
    truth = np.repeat([0, 1, 2], [26, 20, 20])
    found = both_ways(truth, truth, seed=0)
    assert found["accuracy"] == 1
    assert found["chance"] == pytest.approx((26**2 + 20**2 + 20**2) / 66**2)
    assert found["as_scored"] == pytest.approx(found["chance"], abs=0.02)
    low, high = found["as_scored_range"]
    assert low < found["chance"] < high


@pytest.mark.slow
def test_the_published_procedure_runs_on_a_given_split(compare, tmp_path, capsys):
    make_folder(tmp_path / "lungs" / "train")
    make_folder(tmp_path / "lungs" / "test", n=5)
    argv = ["--data", tmp_path / "lungs", "--protocol", "published", "--models", "CNN"]
    assert compare.main([str(a) for a in [*argv, "--out", tmp_path / "out"]]) == 0
    printed = capsys.readouterr().out
    assert "on 36 images, scored on 15 (the given test set)" in printed
    (row,) = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    assert f"{row['as_scored']:.3f}" in printed
    assert f"{row['accuracy']:.3f}" in printed
    assert len(row["val_accuracy"]) <= 10
