"""The published procedure, redone step by step, and scored both ways.

48 pixels, ``x/255`` for every network, strong augmentation with a horizontal flip, batch
normalisation at Keras' momentum, the test set as validation set of early stopping with patience 2.
Its accuracy then compared the predictions of a *shuffled* test generator with labels in file
order. What the publication leaves open is settled as commonly done: Adam for the CNN and DenseNet,
RMSprop for MobileNet; a backbone is frozen where it has ImageNet weights.
"""

import keras
import numpy as np
from PIL import Image
from sklearn.model_selection import train_test_split

from . import report
from .models import PUBLISHED
from .problems import InputError, read

IMAGE_SIZE = 48
N_SHUFFLES = 200
BATCH_SIZE = {"CNN": 32, "MobileNet": 32, "DenseNet": 7}
EPOCHS = {"CNN": 10, "MobileNet": 10, "DenseNet": 15}
OPTIMIZER = {
    "CNN": keras.optimizers.Adam,
    "MobileNet": keras.optimizers.RMSprop,
    "DenseNet": keras.optimizers.Adam,
}


def main(problem, settings, arguments, out, command):
    """Run the procedure for the three networks; print and write both accuracies."""
    names = [name for name in arguments.models if name in PUBLISHED]
    if not names:
        raise InputError(f"--protocol published: choose among {', '.join(PUBLISHED)}")
    others = {key for name in names for key in settings[name]} - {"weights", "alpha"}
    if others:
        raise InputError(f"--protocol published has its own settings: leave out {sorted(others)}")
    if arguments.weights == "chest":
        raise InputError("--protocol published: --weights must be imagenet, as published, or none")
    random = arguments.quick or arguments.weights == "none"
    backbones = [name for name in names if name != "CNN" and "weights" not in settings[name]]
    for name in backbones:
        settings[name]["weights"] = None if random else "imagenet"
    train, test = problem.split or train_test_split(
        np.arange(len(problem.y)), test_size=0.2, stratify=problem.y, random_state=arguments.seed
    )
    how = "the given test set" if problem.split else "a random fifth, for want of a given test set"
    description = (
        f"The published procedure on {len(train)} images, scored on {len(test)} ({how}). "
        f"{report.SYNTHETIC if problem.synthetic else report.REAL}"
    )
    if backbones and random:
        description += f" {' and '.join(backbones)}: random weights, trained whole."
    if "alpha" in settings.get("MobileNet", {}):
        description += f" MobileNet: alpha={settings['MobileNet']['alpha']}."
    print(description, flush=True)
    n_classes = len(problem.names)
    for name in names:  # weights that are missing show before anything is trained
        if name != "CNN":
            build(name, n_classes, settings[name])
    X = pixels(problem.X)
    rows = []
    for name in names:
        said, history = redo(name, settings[name], X, problem.y, train, test, arguments)
        rows.append(dict(model=name, **both_ways(said, problem.y[test], arguments.seed)))
        rows[-1]["val_accuracy"] = history["val_accuracy"]
        print(f"  {name}: {len(history['loss'])} epochs, the best of them restored", flush=True)
    table = report.markdown_table(cells(rows))
    print(f"\n{table}\n\n{NOTES}")
    text = f"```\n{command}\n```\n\n{description}\n\n{table}\n\n{NOTES}\n"
    (out / "results.md").write_text(text, encoding="utf-8")
    report.save(out / "results.json", dict(command=command, rows=rows))
    print(f"\nWritten to {out}: results.json, results.md")
    return 0


NOTES = (
    "as scored: predictions of a shuffled generator against labels in file order, mean and range "
    f"over {N_SHUFFLES} shuffles; chance: sum over the classes of share of labels times share of "
    "predictions; as it should be: the same predictions against their own labels."
)


def pixels(X):
    """All images at 48 pixels, RGB, in 0..1; the nearest pixel, as Keras' generator takes it."""
    size, nearest = IMAGE_SIZE, Image.Resampling.NEAREST
    return np.array([read(x, "RGB", size, nearest) for x in X], np.float32) / 255


def redo(name, settings, X, y, train, test, arguments):
    """Train one network as published; return its predictions on the test rows, and the history."""
    keras.utils.set_random_seed(arguments.seed)
    network = build(name, len(np.unique(y)), settings)
    network.compile(
        OPTIMIZER[name](1e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    stop = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    history = network.fit(
        X[train],
        y[train],
        batch_size=BATCH_SIZE[name],
        epochs=2 if arguments.quick else EPOCHS[name],
        validation_data=(X[test], y[test]),
        callbacks=[stop],
        verbose=0,
    )
    return network.predict(X[test], verbose=0).argmax(axis=1), history.history


def build(name, n_classes, settings):
    """The published layers, behind the published augmentation."""
    layers = keras.layers
    inputs = x = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3))
    x = layers.RandomRotation(30 / 360, fill_mode="nearest")(x)
    x = layers.RandomTranslation(0.2, 0.2, fill_mode="nearest")(x)
    x = layers.RandomShear(0.2, 0.2, fill_mode="nearest")(x)
    x = layers.RandomZoom((-0.2, 0.2), fill_mode="nearest")(x)
    x = layers.RandomFlip("horizontal")(x)
    if name == "CNN":
        for filters in (32, 64, 128):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
            x = layers.BatchNormalization()(x)
            x = layers.MaxPooling2D()(x)
        x = layers.Flatten()(x)
    else:
        x = layers.GlobalAveragePooling2D()(_backbone(name, settings)(x))
    x = layers.Dense(512, activation="relu")(x)
    if name != "DenseNet":
        x = layers.BatchNormalization()(x)
    x = layers.Dropout(0.5)(x)
    return keras.Model(inputs, layers.Dense(n_classes, activation="softmax")(x))


def _backbone(name, settings):
    weights = settings["weights"]
    options = dict(include_top=False, weights=weights, input_shape=(IMAGE_SIZE, IMAGE_SIZE, 3))
    try:
        if name == "MobileNet":
            backbone = keras.applications.MobileNet(alpha=settings.get("alpha", 1.0), **options)
        else:
            backbone = keras.applications.DenseNet121(**options)
    except Exception as error:  # Keras raises a bare Exception where a download fails
        raise InputError(
            f"{name}, weights={weights!r}: {str(error).splitlines()[0]} (--weights none starts "
            "from random weights)"
        ) from error
    backbone.trainable = weights is None
    return backbone


def both_ways(said, truth, seed):
    """The accuracy as it was published, chance, and the accuracy."""
    random = np.random.default_rng(seed)
    shuffled = [np.mean(random.permutation(said) == truth) for _ in range(N_SHUFFLES)]
    n_classes = max(said.max(), truth.max()) + 1
    labels, predictions = (np.bincount(v, minlength=n_classes) / len(v) for v in (truth, said))
    return dict(
        as_scored=float(np.mean(shuffled)),
        as_scored_range=[float(min(shuffled)), float(max(shuffled))],
        chance=float(labels @ predictions),
        accuracy=float(np.mean(said == truth)),
    )


def cells(rows):
    """Header and lines of the table."""
    lines = [["model", "as scored", "range", "chance", "as it should be", "published"]]
    for row in rows:
        low, high = row["as_scored_range"]
        lines.append(
            [
                row["model"],
                f"{row['as_scored']:.3f}",
                f"{low:.3f} to {high:.3f}",
                f"{row['chance']:.3f}",
                f"{row['accuracy']:.3f}",
                f"{PUBLISHED[row['model']]:.3f}",
            ]
        )
    return lines
