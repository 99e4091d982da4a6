"""Displays in scikit-learn's manner: objects that hold computed values, and draw them by plot.

Matplotlib is imported when something is drawn.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .images import checking, columns, pixel_ranges, reading
from .validation import ImagesLike

# Series of a history that are drawn, by the name of their axes.
_SERIES = {
    "accuracy": (("accuracy", "training"), ("val_accuracy", "validation")),
    "loss": (("loss", "training"), ("val_loss", "validation")),
}


class SampleImagesDisplay:
    """Some images of each class, drawn with one row for each class.

    Parameters
    ----------
    samples : list of list of ndarray
        For each class its images, each of shape (height, width) or (height, width, 3), floats in
        0..1.
    target_names : list of str
        Name of each class.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the display was drawn last.
    figure_ : matplotlib Figure
        The figure of ``ax_``.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from lungestimators.datasets import make_chest_xrays
    >>> from lungestimators.plotting import SampleImagesDisplay
    >>> X, y = make_chest_xrays(30, image_size=64, random_state=0)
    >>> display = SampleImagesDisplay.from_dataset(X, y, n_images=4)
    >>> len(display.samples), len(display.samples[0])
    (3, 4)
    """

    def __init__(
        self, samples: Sequence[Sequence[np.ndarray]], target_names: Sequence[str]
    ) -> None:
        self.samples = samples
        self.target_names = target_names

    @classmethod
    def from_dataset(
        cls,
        X: ImagesLike,
        y: ArrayLike,
        *,
        target_names: Sequence[str] | None = None,
        n_images: int = 6,
        random_state: int | np.random.RandomState | None = 0,
        ax: Any = None,
    ) -> "SampleImagesDisplay":
        """Choose some images of each class at random and draw them.

        Parameters
        ----------
        X : ndarray or sequence of paths
            Images of shape (n, height, width) or (n, height, width, channels), or paths of image
            files.
        y : array-like of shape (n,)
            Class labels.
        target_names : list of str, default=None
            Names of the classes in the order of the labels; ``None`` shows the labels.
        n_images : int, default=6
            Images of each class; of a smaller class, all.
        random_state : int, RandomState instance or None, default=0
            Seed of the choice of images.
        ax : matplotlib Axes, default=None
            Where to draw; ``None`` makes a figure.

        Returns
        -------
        SampleImagesDisplay

        Raises
        ------
        ImageReadError
            Chosen files cannot be read.
        ValueError
            X and y differ in length.
        """
        check_consistent_length(X, y)
        random_state = check_random_state(random_state)
        images_of_rows = _images_to_plot(X)
        labels = np.unique(y)
        samples = []
        for label in labels:
            rows = np.flatnonzero(np.asarray(y) == label)
            rows = random_state.permutation(rows)[:n_images]
            samples.append(images_of_rows(rows))
        names = [str(label) for label in labels] if target_names is None else list(target_names)
        return cls(samples, names).plot(ax)

    def plot(self, ax: Any = None) -> "SampleImagesDisplay":
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; ``None`` makes a figure.

        Returns
        -------
        SampleImagesDisplay
        """
        side = 128
        n_columns = max(map(len, self.samples))
        gap = side // 32
        sheet = np.ones((len(self.samples) * (side + gap), n_columns * (side + gap), 3))
        for row, row_images in enumerate(self.samples):
            for column, image in enumerate(row_images):
                top, left = row * (side + gap), column * (side + gap)
                sheet[top : top + side, left : left + side] = _square_to_plot(image, side)
        ax = _axes_to_plot(ax, (1.35 * n_columns + 1.2, 1.4 * len(self.samples)))
        ax.imshow(sheet, interpolation="antialiased")
        ax.set_xticks([])
        centres = np.arange(len(self.samples)) * (side + gap) + side / 2
        ax.set_yticks(centres, self.target_names)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


class ClassDistributionDisplay:
    """The number of images of each class, drawn as bars.

    Parameters
    ----------
    counts : ndarray of shape (n_classes,)
        Number of images of each class.
    target_names : list of str
        Name of each class.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the display was drawn last.
    figure_ : matplotlib Figure
        The figure of ``ax_``.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from lungestimators.plotting import ClassDistributionDisplay
    >>> display = ClassDistributionDisplay.from_dataset(["ill", "healthy", "ill"])
    >>> display.target_names, display.counts.tolist()
    (['healthy', 'ill'], [1, 2])
    """

    def __init__(self, counts: np.ndarray, target_names: Sequence[str]) -> None:
        self.counts = counts
        self.target_names = target_names

    @classmethod
    def from_dataset(
        cls, y: ArrayLike, *, target_names: Sequence[str] | None = None, ax: Any = None
    ) -> "ClassDistributionDisplay":
        """Count the images of each class and draw the numbers.

        Parameters
        ----------
        y : array-like of shape (n,)
            Class labels.
        target_names : list of str, default=None
            Names of the classes in the order of the labels; ``None`` shows the labels.
        ax : matplotlib Axes, default=None
            Where to draw; ``None`` makes a figure.

        Returns
        -------
        ClassDistributionDisplay
        """
        labels, counts = np.unique(y, return_counts=True)
        names = [str(label) for label in labels] if target_names is None else list(target_names)
        return cls(counts, names).plot(ax)

    def plot(self, ax: Any = None) -> "ClassDistributionDisplay":
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; ``None`` makes a figure.

        Returns
        -------
        ClassDistributionDisplay
        """
        ax = _axes_to_plot(ax, (5.5, 0.55 * len(self.counts) + 0.9))
        bars = ax.barh(self.target_names, self.counts, color="C0")
        share = self.counts / self.counts.sum()
        ax.bar_label(
            bars, [f" {n} ({s:.0%})" for n, s in zip(self.counts, share, strict=True)], padding=2
        )
        ax.invert_yaxis()
        ax.set_xlim(0, 1.25 * self.counts.max())
        ax.set_xlabel("images")
        ax.spines[["top", "right"]].set_visible(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


class TrainingCurvesDisplay:
    """Accuracy and loss by epoch: the mean of several trainings, and their range as a band.

    Parameters
    ----------
    histories : list of dict
        ``history_`` of each training; each network of a classifier with ``n_networks`` is a
        training. Validation is drawn where all trainings have it.

    Attributes
    ----------
    axes_ : ndarray of shape (2,) of matplotlib Axes
        Where accuracy and loss were drawn last.
    figure_ : matplotlib Figure
        The figure of ``axes_``.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from lungestimators.plotting import TrainingCurvesDisplay
    >>> history = {"accuracy": [0.5, 0.8, 0.9], "loss": [1.0, 0.5, 0.3]}
    >>> display = TrainingCurvesDisplay([history]).plot()
    >>> display.axes_.shape
    (2,)
    """

    def __init__(self, histories: Sequence[dict[str, list[float]]]) -> None:
        self.histories = histories

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> "TrainingCurvesDisplay":
        """Draw the training of one fitted classifier, or of several.

        Parameters
        ----------
        estimator : classifier or list of classifiers
            Fitted classifiers; several are the folds of a cross-validation, say.
        ax : array-like of two matplotlib Axes, default=None
            For accuracy and loss; ``None`` makes a figure.

        Returns
        -------
        TrainingCurvesDisplay

        Raises
        ------
        NotFittedError
            A classifier is not fitted.
        """
        estimators = estimator if isinstance(estimator, list | tuple) else [estimator]
        for each in estimators:
            check_is_fitted(each, "history_")
        return cls([each.history_ for each in estimators]).plot(ax)

    def plot(self, ax: Any = None) -> "TrainingCurvesDisplay":
        """Draw the display.

        Parameters
        ----------
        ax : array-like of two matplotlib Axes, default=None
            For accuracy and loss; ``None`` makes a figure.

        Returns
        -------
        TrainingCurvesDisplay
        """
        import matplotlib.pyplot as plt
        from matplotlib.ticker import MaxNLocator

        if ax is None:
            _, ax = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
        trainings = [one for history in self.histories for one in _trainings_in_history(history)]
        for axes, (quantity, series) in zip(ax, _SERIES.items(), strict=True):
            for key, label in series:
                if all(key in history for history in trainings):
                    _plot_band(axes, [history[key] for history in trainings], label)
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_ylabel(quantity)
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False)
        ax[0].set_ylim(None, 1.02)
        ax[1].set_ylim(0, None)
        self.axes_ = np.asarray(ax)
        self.figure_ = ax[0].figure
        return self


def _trainings_in_history(history):
    """Return the history of each network of a classifier; of one network the history as it is."""
    if "network" not in history:
        return [history]
    numbers = history["network"]
    return [
        {
            name: [value for value, n in zip(values, numbers, strict=True) if n == number]
            for name, values in history.items()
        }
        for number in sorted(set(numbers))
    ]


def _plot_band(ax, curves, label):
    """Draw the mean and the range of curves, some of which may have stopped early."""
    table = np.full((len(curves), max(map(len, curves))), np.nan)
    for row, curve in zip(table, curves, strict=True):
        row[: len(curve)] = curve
    epochs = np.arange(1, table.shape[1] + 1)
    (line,) = ax.plot(epochs, np.nanmean(table, axis=0), label=label)
    if len(curves) > 1:
        low, high = np.nanmin(table, axis=0), np.nanmax(table, axis=0)
        ax.fill_between(epochs, low, high, color=line.get_color(), alpha=0.2, linewidth=0)


def _axes_to_plot(ax, size):
    """Return the given axes, or those of a new figure of a size in inches."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def _images_to_plot(X):
    """Return a function from rows of X to the list of their images, floats in 0..1."""
    if columns.is_column_of_paths(X):
        paths = columns.paths_in_column(X)
        return lambda rows: list(reading.read_images([paths[row] for row in rows], 3))
    X = np.asarray(checking.check_and_stack_x(X))
    low, high = pixel_ranges.pixel_range(X)
    return lambda rows: [
        np.clip((np.asarray(X[row], float) - low) / (high - low), 0, 1) for row in rows
    ]


def _square_to_plot(image, side):
    """Return an image as an RGB square of some pixels of it: good enough to look at."""
    rows = np.arange(side) * image.shape[0] // side
    columns = np.arange(side) * image.shape[1] // side
    image = image[rows][:, columns]
    return image.reshape(side, side, -1) * np.ones(3)
