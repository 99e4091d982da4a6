"""Displays: what they hold is what was given; matplotlib comes only with drawing."""

import matplotlib
import numpy as np
import pytest
from PIL import Image
from sklearn.exceptions import NotFittedError

from lungestimators import (
    ClassDistributionDisplay,
    CNNClassifier,
    SampleImagesDisplay,
    TrainingCurvesDisplay,
)

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def test_samples_hold_images_of_their_class_only():
    X = np.repeat(np.array([10, 200], np.uint8), 5)[:, None, None] * np.ones((1, 8, 8), np.uint8)
    y = np.repeat(["dark", "light"], 5)
    display = SampleImagesDisplay.from_dataset(X, y, n_images=3)
    assert display.target_names == ["dark", "light"]
    for images, grey in zip(display.samples, (10, 200), strict=True):
        assert len(images) == 3
        np.testing.assert_allclose(images, grey / 255)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["dark", "light"]


def test_samples_are_read_from_files(tmp_path):
    for name in ("a", "b"):
        Image.fromarray(np.full((6, 9), 51, np.uint8)).save(tmp_path / f"{name}.png")
    paths = np.array([str(tmp_path / "a.png"), str(tmp_path / "b.png")])
    display = SampleImagesDisplay.from_dataset(paths, [0, 1], target_names=["one", "two"])
    np.testing.assert_allclose(display.samples[0][0], 0.2)
    assert display.target_names == ["one", "two"]


def test_counts_are_drawn_on_the_given_axes():
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    display = ClassDistributionDisplay.from_dataset([1, 1, 0, 2, 1], ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert [bar.get_width() for bar in ax.patches] == [1, 3, 1]


def test_curves_show_mean_and_range_of_the_folds():
    histories = [
        {"accuracy": [0.2, 0.6], "loss": [2.0, 1.0]},
        {"accuracy": [0.4, 1.0], "loss": [1.0, 0.5]},
    ]
    accuracy, loss = TrainingCurvesDisplay(histories).plot().axes_
    np.testing.assert_allclose(accuracy.lines[0].get_ydata(), [0.3, 0.8])
    np.testing.assert_allclose(loss.lines[0].get_ydata(), [1.5, 0.75])
    edge = accuracy.collections[0].get_paths()[0].vertices[:, 1]
    assert (edge.min(), edge.max()) == (0.2, 1.0)


def test_the_networks_of_one_classifier_are_drawn_as_trainings_of_their_own():
    history = {
        "accuracy": [0.2, 0.6, 0.4, 1.0],
        "loss": [2.0, 1.0, 1.0, 0.5],
        "network": [0, 0, 1, 1],
    }
    accuracy, loss = TrainingCurvesDisplay([history]).plot().axes_
    np.testing.assert_allclose(accuracy.lines[0].get_ydata(), [0.3, 0.8])
    np.testing.assert_allclose(loss.lines[0].get_ydata(), [1.5, 0.75])


def test_curves_show_validation_where_there_is_one_and_folds_that_stopped_early():
    histories = [
        {"accuracy": [0.5], "loss": [1.0], "val_accuracy": [0.4], "val_loss": [1.1]},
        {"accuracy": [0.7, 0.9], "loss": [1, 0.5], "val_accuracy": [0.6, 0.8], "val_loss": [1, 1]},
    ]
    accuracy, _ = TrainingCurvesDisplay(histories).plot().axes_
    assert [line.get_label() for line in accuracy.lines] == ["training", "validation"]
    np.testing.assert_allclose(accuracy.lines[1].get_ydata(), [0.5, 0.8])


def test_curves_come_from_fitted_estimators_only(fitted_cnn):
    with pytest.raises(NotFittedError):
        TrainingCurvesDisplay.from_estimator(CNNClassifier())
    display = TrainingCurvesDisplay.from_estimator([fitted_cnn, fitted_cnn])
    assert len(display.axes_[0].lines[0].get_ydata()) == fitted_cnn.n_iter_
