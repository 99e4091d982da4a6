"""Learning the weights that come with the package: the same network, its images, and kills."""

import csv
import importlib
import itertools
import json
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from lungestimators import make_chest_xrays
from lungestimators.networks.architectures import build_application
from lungestimators.networks.chest_weights import read_chest_weights

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="PyTorch trains, TensorFlow runs the network"
)

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
N_EACH = 6  # images of a source


@pytest.fixture
def pretrain(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("pretrain")
    ours = ("pretrain", "pretraining", "weights")
    for name in [name for name in sys.modules if name.split(".")[0] in ours]:
        monkeypatch.delitem(sys.modules, name)


def _with_random_statistics(network):
    rng = np.random.default_rng(0)
    torch_network = importlib.import_module("pretraining.torch_network")
    for layer in torch_network.trained_part(network).layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return network


NETWORKS = [
    ("MobileNet", {"alpha": 0.25}),
    ("MobileNetV2", {"alpha": 0.35}),
    ("DenseNet", {"blocks": (2, 1, 1, 1)}),
    ("CNN", {"filters": (4, 8)}),
]


@pytest.mark.slow
@pytest.mark.parametrize("name, options", NETWORKS, ids=lambda value: str(value))
def test_pytorch_computes_what_keras_computes_before_and_after_a_step(pretrain, name, options):
    torch_network = importlib.import_module("pretraining.torch_network")
    network = _with_random_statistics(pretrain.build_network(name, 48, options))
    X = np.random.default_rng(1).random((5, 48, 48, 1), np.float32)
    images = torch.from_numpy(X).permute(0, 3, 1, 2)
    student = torch_network.TorchNetwork(network)

    def assert_equal():
        expected = network.predict(X, verbose=0)
        with torch.no_grad():
            found = student.eval()(images).numpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
        return expected

    before = assert_equal()
    optimizer = torch.optim.SGD(student.parameters(), 0.01)
    student.train()(images).square().mean().backward()
    optimizer.step()
    student.write_back()
    assert np.abs(assert_equal() - before).max() > 1e-3 * np.abs(before).max()


@pytest.fixture
def folder(tmp_path, pretrain):
    """Return a folder of radiographs as pretrain.py takes it, of synthetic images."""
    images = importlib.import_module("pretraining.images")
    columns = ["file", "patient", "labels", "projection", "rsna_normal", "number_also_in_test"]
    labels = {
        "kermany_train": ["normal", "bacteria", "virus"],
        "nih_chestxray14": ["No_Finding", "Effusion|Edema", "Pneumonia"],
        "rsna_nih_normal": ["Normal"],
        "hannover_covid": ["COVID-19_patient"],
    }
    X, _ = make_chest_xrays(N_EACH * len(labels), image_size=96, random_state=5)
    for number, source in enumerate(images.SOURCES):
        (tmp_path / source / "images").mkdir(parents=True)
        with open(tmp_path / source / "index.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            for k in range(N_EACH):
                Image.fromarray(X[number * N_EACH + k]).save(
                    tmp_path / source / "images" / f"{k}.png"
                )
                label = labels[source][k % len(labels[source])]
                row = dict(file=f"images/{k}.png", labels=label, projection="ap", rsna_normal="0")
                # Images 0 and 2 of Kermany's are of one child; of others nobody knows the person.
                if source == "kermany_train":
                    row["patient"] = "020345"[k]
                writer.writerow(row | dict(number_also_in_test=str(int(k == 5))))
    return tmp_path


def test_a_finding_or_none_is_asked_of_one_collection_only(pretrain):
    tasks = importlib.import_module("pretraining.tasks")
    rows = [
        dict(source="nih_chestxray14", labels="No_Finding", rsna_normal="0"),
        dict(source="nih_chestxray14", labels="Effusion|Edema", rsna_normal="0"),
        dict(source="nih_chestxray14", labels="Effusion", rsna_normal="1"),
        dict(source="rsna_nih_normal", labels="Normal", rsna_normal=""),
    ]
    (task,) = [task for task in tasks.list_tasks(rows) if task.name.endswith("a finding or none")]
    assert task.labels.tolist() == [0, 1, 0, -1]


def test_the_page_of_weights_counts_images_by_version(pretrain):
    credit_sources = importlib.import_module("weights").credit_sources
    source = dict(title="A set", licence="CC0", attribution="its authors", changes="none")

    def card(version, n_images):
        sources = [source | dict(n_images=n_images)]
        return dict(version=version, sources=json.dumps(sources))

    (text,) = credit_sources({"a": card("1", 1200), "b": card("1", 1200)})
    assert text.startswith("- **A set**: 1,200 images. Licence: CC0.")
    (text,) = credit_sources({"a": card("1", 1200), "b": card("2", 1199)})
    assert "1,200 images (version 1), 1,199 images (version 2)." in text


def test_the_loss_of_geometry_is_one_minus_the_cosine_of_similarities(pretrain):
    loss_of_geometry = importlib.import_module("pretraining.training").loss_of_geometry
    random = np.random.default_rng(0)
    wanted = random.normal(size=(40, 7))

    def similarities(features):
        centred = features - features.mean(0)
        return np.array([a @ b for a, b in itertools.permutations(centred, 2)])

    def loss(features):
        return float(loss_of_geometry(torch.from_numpy(features), torch.from_numpy(wanted)))

    # Neither a rotation nor the size of the features nor their mean changes which images are alike.
    rotation, _ = np.linalg.qr(random.normal(size=(7, 7)))
    assert abs(loss(3 * wanted @ rotation + 5)) < 1e-12
    other = random.normal(size=(40, 3)) + wanted[:, :3]
    ours, theirs = similarities(other), similarities(wanted)
    cosine = ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs)
    assert loss(other) == pytest.approx(1 - cosine)
    assert 0.1 < loss(other) < 0.9


def test_images_that_may_be_in_a_test_set_are_not_listed(pretrain, folder):
    images = importlib.import_module("pretraining.images")
    assert len(images.list_radiographs(folder)) == 4 * (N_EACH - 1)


def test_shrinking_makes_small_images_of_all_pixels(pretrain):
    shrink = importlib.import_module("pretraining.images").shrink
    # One bright pixel of 16: a view that skips pixels has nearly all or nothing of it.
    pixels = np.zeros((2, 64, 64), np.uint8)
    pixels[:, 1::4, 1::4] = 160
    small = shrink(pixels, 16)
    assert small.shape == (2, 16, 16) and small.dtype == np.uint8
    assert abs(small[:, 2:-2, 2:-2].astype(int) - 10).max() <= 2
    assert shrink(pixels, 64) is pixels and shrink(pixels, 80) is pixels


def test_a_teacher_with_weights_of_the_package_sees_images_of_their_size(pretrain):
    teacher = importlib.import_module("pretraining.teacher")
    found = teacher.read_teacher("MobileNet", {"alpha": 0.25}, "chest")
    assert found.image_size == 128 != teacher.IMAGE_SIZE
    assert pretrain.read_teachers(["MobileNet-0.25=chest"]) == [("MobileNet-0.25", "chest")]
    with pytest.raises(ValueError, match="no weights='chest' of MobileNetV2"):
        teacher.read_teacher("MobileNetV2", {"alpha": 1.0}, "chest")


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights_without_copies_of_scored_images(
    pretrain, folder, tmp_path_factory, monkeypatch, capsys
):
    images = importlib.import_module("pretraining.images")
    training = importlib.import_module("pretraining.training")
    monkeypatch.setattr(images, "N_SYNTHETIC", 16)
    monkeypatch.setattr(images, "N_AT_ONCE", 8)
    here = tmp_path_factory.mktemp("pretrain")
    teacher = build_application("MobileNetV2", 192, 1, None, {})
    teacher.get_layer("application").save_weights(here / "teacher.weights.h5")
    scored = here / "scored"
    for name, k in (("a", 0), ("b", 1)):
        (scored / name).mkdir(parents=True)
        picture = Image.open(folder / "kermany_train" / "images" / f"{k}.png")
        picture.resize((80, 80)).save(scored / name / "copy.png")

    def run(out, scored=scored):
        argv = ["MobileNet-0.25", "--images", str(folder), "--scored", str(scored)]
        argv += ["--teachers", f"MobileNetV2={here / 'teacher.weights.h5'}"]
        argv += ["MobileNet-0.25=chest", "--epochs", "2"]
        argv += ["--image-size", "64", "--batch-size", "8"]
        return pretrain.main([*argv, "--work", str(here / out / "work"), "--out", str(here / out)])

    def load(out):
        file = here / out / "MobileNet-0.25.safetensors"
        return read_chest_weights(file, "MobileNet", {"alpha": 0.25}).tensors

    assert run("whole") == 0
    assert "3 of them show an image or a person of a scored set" in capsys.readouterr().out
    assert run("whole", scored=here) == 2
    assert "images.npz is of another run" in capsys.readouterr().err
    loss_of_task, n_steps = training.loss_of_task, []

    def killed(*arguments):
        n_steps.append(1)
        if len(n_steps) == 25:  # in the second epoch: 5 tasks, 4 steps
            raise KeyboardInterrupt
        return loss_of_task(*arguments)

    monkeypatch.setattr(training, "loss_of_task", killed)
    assert run("killed") == 130
    assert run("killed") == 0
    assert "epoch 1 of 2" not in capsys.readouterr().out.split("epoch 1 of 2", 1)[1]
    whole, continued = load("whole"), load("killed")
    for key in whole:
        np.testing.assert_array_equal(continued[key], whole[key])
