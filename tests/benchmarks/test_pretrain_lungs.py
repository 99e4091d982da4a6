"""Learning to find lungs: the same network, views of images and outlines, and kills."""

import importlib
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from lungestimators import make_chest_xrays
from lungestimators.networks.chest_weights import read_chest_weights
from lungestimators.networks.lung_network import build_lung_network

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="PyTorch trains, TensorFlow runs the network"
)

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def pretrain_lungs(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("pretrain_lungs")
    ours = ("pretrain_lungs", "pretraining")
    for name in [name for name in sys.modules if name.split(".")[0] in ours]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.slow
def test_pytorch_computes_what_keras_computes_before_and_after_a_step(pretrain_lungs):
    torch_network = importlib.import_module("pretraining.torch_network")
    network = build_lung_network()
    X = np.random.default_rng(1).random((2, 160, 160, 1), np.float32)
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


def test_a_view_shows_of_the_lungs_what_its_zoom_says(pretrain_lungs):
    lung_views = importlib.import_module("pretraining.lung_views")
    views = importlib.import_module("pretraining.views")
    _, _, masks = make_chest_xrays(6, image_size=96, return_masks=True, random_state=0)
    pictures = torch.from_numpy(masks.astype(np.uint8) * 255)
    generator = torch.Generator().manual_seed(0)
    positions = lung_views.draw_positions(6, generator)
    moved = views.move(pictures, positions, 96)
    # What a view shows of the lungs is what the matrix says: zoomed area, unless it is cut off.
    scale = torch.linalg.det(positions[:, :, :2]).abs()
    shares = moved.mean((1, 2, 3)) * scale / torch.from_numpy(masks.mean((1, 2))).float()
    assert (shares < 1.02).all()
    assert (shares > 0.98).any()
    assert not torch.equal(moved[:, 0], pictures / 255)


def test_what_has_no_lungs_to_be_found_has_the_same_greys_elsewhere(pretrain_lungs):
    lung_negatives = importlib.import_module("pretraining.lung_negatives")
    X, _ = make_chest_xrays(3, image_size=96, random_state=0)
    images = torch.from_numpy(X[:, None] / np.float32(255))
    generator = torch.Generator().manual_seed(0)
    other_pictures = importlib.import_module("pretraining.other_pictures")
    tiles, turned, part = lung_negatives.spoil(images, generator)
    assert sorted(tiles.ravel().tolist()) == sorted(images[0].ravel().tolist())
    assert not torch.equal(tiles, images[0])
    assert any(torch.equal(torch.rot90(turned, k, (1, 2)), images[1]) for k in (1, 2, 3))
    assert part.std() < images[2].std()  # a small part shows fewer greys
    drawn = other_pictures.draw_other_pictures(14, 64, 0)
    assert (drawn.shape, drawn.dtype) == ((14, 64, 64), np.uint8)
    assert (drawn.std((1, 2)) > 1).sum() >= 13  # a plain surface may be among them


def test_the_teacher_does_not_count_pixels_of_which_it_is_not_sure(pretrain_lungs):
    lung_training = importlib.import_module("pretraining.lung_training")
    side = lung_training.MASK_SIZE
    logits = torch.zeros(side, side)
    logits[:, : side // 4] = 5.0
    logits[:, side // 4 : side // 2] = -5.0

    def teacher(pictures):
        found = logits.flip(1) if pictures[0, 0, 0, 0] > 0.5 else logits
        return torch.cat([found.ravel(), torch.zeros(1)])[None]

    picture = torch.zeros(1, 1, 4, 4)
    picture[..., -1] = 1  # tells the mirrored picture
    wanted, weight = lung_training._outlines_by_teacher(teacher, picture)
    assert wanted[0, 0, :, : side // 4].eq(1).all()
    assert wanted[0, 0, :, side // 4 : side // 2].eq(0).all()
    assert weight[0, 0, :, : side // 2].eq(1).all()
    assert weight[0, 0, :, side // 2 :].eq(0).all()


def test_the_lungs_to_learn_from_vary_in_shape(pretrain_lungs, monkeypatch):
    lung_images = importlib.import_module("pretraining.lung_images")
    monkeypatch.setattr(lung_images, "N_SYNTHETIC", 6)
    monkeypatch.setattr(lung_images, "N_AT_ONCE", 3)
    images, masks = lung_images.draw_lungs(64, 0)
    assert images.shape == masks.shape == (6, 64, 64)
    draw = lung_images.draw_radiographs
    monkeypatch.setattr(lung_images, "draw_radiographs", lambda *values, vary_shape: draw(*values))
    same_shape, _ = lung_images.draw_lungs(64, 0)
    assert (images != same_shape).any(axis=(1, 2)).all()


def test_what_has_lung_above_and_below_does_not_count_unless_it_is_lung(pretrain_lungs):
    lung_training = importlib.import_module("pretraining.lung_training")
    side = lung_training.MASK_SIZE
    logits = torch.full((side, side), -5.0)
    logits[10:20], logits[40:50] = 5.0, 5.0

    def teacher(pictures):
        return torch.cat([logits.ravel(), torch.zeros(1)])[None]

    wanted, weight = lung_training._outlines_by_teacher(teacher, torch.zeros(1, 1, 4, 4))
    counts = torch.ones(side)
    counts[20:40] = 0
    assert torch.equal(weight[0, 0], counts[:, None].expand(side, side))
    assert torch.equal(wanted[0, 0], (logits > 0).float())


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights(pretrain_lungs, tmp_path, monkeypatch, capsys):
    lung_training = importlib.import_module("pretraining.lung_training")
    X, _, masks = make_chest_xrays(8, image_size=64, return_masks=True, random_state=0)
    pictures = lung_training.Images(X[:6], masks[:6], X[6:], X[:6, ::-1].copy())
    monkeypatch.setattr(
        pretrain_lungs, "prepare_images", lambda *_: (pictures, [dict(source="synthetic")])
    )
    few = dict(steps=2, synthetic=2, real=1, negative=2, real_from=0.5)
    whole_settings = lung_training.Settings
    monkeypatch.setattr(
        lung_training, "Settings", lambda epochs: whole_settings(epochs)._replace(**few)
    )

    def run(out):
        argv = ["--images", "none", "--epochs", "2", "--work", str(tmp_path / out)]
        return pretrain_lungs.main([*argv, "--out", str(tmp_path / out / "weights.safetensors")])

    def load(out):
        return read_chest_weights(tmp_path / out / "weights.safetensors", "LungNetwork", {}).tensors

    assert run("whole") == 0
    losses, n_steps = lung_training._losses, []

    def killed(*arguments):
        n_steps.append(1)
        if len(n_steps) == 4:  # in the second epoch
            raise KeyboardInterrupt
        return losses(*arguments)

    monkeypatch.setattr(lung_training, "_losses", killed)
    capsys.readouterr()
    assert run("killed") == 130
    assert run("killed") == 0
    assert capsys.readouterr().out.count("epoch 1 of 2") == 1
    whole, continued = load("whole"), load("killed")
    for key in whole:
        np.testing.assert_array_equal(continued[key], whole[key])
