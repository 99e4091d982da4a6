"""Displays in scikit-learn's manner: they hold what was computed, and draw it when asked.

Matplotlib is imported only when something is drawn.
"""

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .images import checking

_SERIES = {
    "accuracy": (("accuracy", "training"), ("val_accuracy", "validation")),
    "loss": (("loss", "training"), ("val_loss", "validation")),
}


class SampleImagesDisplay:
    """Some images of each class, a row a class.

    Parameters
    ----------
    samples : list of list of ndarray
        For each class its images, each of shape (height, width) or (height, width, 3), floats in
        0..1.
    target_names : list of str
        A name for each class.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

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

    def __init__(self, samples, target_names):
        self.samples = samples
        self.target_names = target_names

    @classmethod
    def from_dataset(cls, X, y, *, target_names=None, n_images=6, random_state=0, ax=None):
        """Draw images at random and show them.

        Parameters
        ----------
        X : ndarray or sequence of paths
            Images as arrays of shape (n, height, width) or (n, height, width, channels), or files.
        y : array-like of shape (n,)
            Class labels.
        target_names : list of str, default=None
            Names of the classes in the order of the labels; ``None`` takes the labels.
        n_images : int, default=6
            Images of each class, or as many as there are.
        random_state : int, RandomState instance or None, default=0
            Which images.
        ax : matplotlib Axes, default=None
            Where to draw; ``None`` makes a figure.

        Returns
        -------
        SampleImagesDisplay
        """
        check_consistent_length(X, y)
        random_state = check_random_state(random_state)
        X, read = _reader(X)
        labels = np.unique(y)
        samples = []
        for label in labels:
            rows = np.flatnonzero(np.asarray(y) == label)
            rows = random_state.permutation(rows)[:n_images]
            samples.append([read(X[row]) for row in rows])
        names = [str(label) for label in labels] if target_names is None else list(target_names)
        return cls(samples, names).plot(ax)

    def plot(self, ax=None):
        """Draw.

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
                sheet[top : top + side, left : left + side] = _square(image, side)
        ax = _axes(ax, (1.35 * n_columns + 1.2, 1.4 * len(self.samples)))
        ax.imshow(sheet, interpolation="antialiased")
        ax.set_xticks([])
        centres = np.arange(len(self.samples)) * (side + gap) + side / 2
        ax.set_yticks(centres, self.target_names)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


class ClassDistributionDisplay:
    """How many images there are of each class.

    Parameters
    ----------
    counts : ndarray of shape (n_classes,)
    target_names : list of str

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from lungestimators.plotting import ClassDistributionDisplay
    >>> display = ClassDistributionDisplay.from_dataset(["ill", "healthy", "ill"])
    >>> display.target_names, display.counts.tolist()
    (['healthy', 'ill'], [1, 2])
    """

    def __init__(self, counts, target_names):
        self.counts = counts
        self.target_names = target_names

    @classmethod
    def from_dataset(cls, y, *, target_names=None, ax=None):
        """Count the labels and show them.

        Parameters
        ----------
        y : array-like of shape (n,)
            Class labels.
        target_names : list of str, default=None
            Names of the classes in the order of the labels; ``None`` takes the labels.
        ax : matplotlib Axes, default=None
            Where to draw; ``None`` makes a figure.

        Returns
        -------
        ClassDistributionDisplay
        """
        labels, counts = np.unique(y, return_counts=True)
        names = [str(label) for label in labels] if target_names is None else list(target_names)
        return cls(counts, names).plot(ax)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; ``None`` makes a figure.

        Returns
        -------
        ClassDistributionDisplay
        """
        ax = _axes(ax, (5.5, 0.55 * len(self.counts) + 0.9))
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
    """Accuracy and loss by epoch: the mean over several trainings, and their range as a band.

    Parameters
    ----------
    histories : list of dict
        ``history_`` of each training. Validation is drawn where all of them have it.

    Attributes
    ----------
    axes_ : ndarray of shape (2,) of matplotlib Axes
        Accuracy and loss.
    figure_ : matplotlib Figure

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

    def __init__(self, histories):
        self.histories = histories

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Show how fitted classifiers were trained.

        Parameters
        ----------
        estimator : classifier or list of classifiers
            Fitted; several are the folds of a cross-validation.
        ax : array-like of two matplotlib Axes, default=None
            For accuracy and loss; ``None`` makes a figure.

        Returns
        -------
        TrainingCurvesDisplay
        """
        estimators = estimator if isinstance(estimator, list | tuple) else [estimator]
        for each in estimators:
            check_is_fitted(each, "history_")
        return cls([each.history_ for each in estimators]).plot(ax)

    def plot(self, ax=None):
        """Draw.

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
        for axes, (quantity, series) in zip(ax, _SERIES.items(), strict=True):
            for key, label in series:
                if all(key in history for history in self.histories):
                    _band(axes, [history[key] for history in self.histories], label)
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


def _band(ax, curves, label):
    """Mean and range of curves, some of which may have stopped early."""
    table = np.full((len(curves), max(map(len, curves))), np.nan)
    for row, curve in zip(table, curves, strict=True):
        row[: len(curve)] = curve
    epochs = np.arange(1, table.shape[1] + 1)
    (line,) = ax.plot(epochs, np.nanmean(table, axis=0), label=label)
    if len(curves) > 1:
        low, high = np.nanmin(table, axis=0), np.nanmax(table, axis=0)
        ax.fill_between(epochs, low, high, color=line.get_color(), alpha=0.2, linewidth=0)


def _axes(ax, size):
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def _reader(X):
    """Return X as a list or array, and the function that turns its items into floats in 0..1."""
    if checking.holds_paths(X):
        return checking.as_paths(X), lambda path: checking.read_image(path, 3)
    X = np.asarray(checking.stack(X))
    low, high = checking.pixel_range(X)
    return X, lambda image: np.clip((np.asarray(image, float) - low) / (high - low), 0, 1)


def _square(image, side):
    """An image as RGB, resized by choosing pixels: good enough to look at."""
    rows = np.arange(side) * image.shape[0] // side
    columns = np.arange(side) * image.shape[1] // side
    image = image[rows][:, columns]
    return image.reshape(side, side, -1) * np.ones(3)
