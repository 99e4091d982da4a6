"""One piece of work done by one contender, in a process of its own; speed.py calls it.

    python -m contest.contenders WORK CONTENDER FOLDER SETTINGS     (in the folder benchmarks)

Prints one line of JSON: seconds, and what else was measured. Nothing is timed before the frameworks
are imported, unless a contender says otherwise, and the images are in memory.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedKFold, cross_val_score

from lungestimators import (
    BackboneFeatures,
    CNNClassifier,
    ImageReader,
    MobileNetClassifier,
    clear_feature_cache,
)

from . import searches
from .shared import (
    BATCH_SIZE,
    Clock,
    compiled,
    densenet,
    head_layers,
    head_of,
    keras_classifier,
    load_keras,
    mend,
    most_memory,
    shrunk,
)

# Cross-validation with a frozen DenseNet121


def forward_keras(X, y, settings):
    """One bare ``predict`` of the backbone over all images."""
    import keras

    network = densenet(settings)
    images = keras.applications.densenet.preprocess_input(X.astype(np.float32))
    network.predict(images[:BATCH_SIZE], batch_size=BATCH_SIZE, verbose=0)
    with Clock() as clock:
        network.predict(images, batch_size=BATCH_SIZE, verbose=0)
    return {"seconds": clock.seconds}


def cv_ours(X, y, settings):
    """Five folds from nothing; then the same folds with other heads, the features being known."""
    load_keras()
    clear_feature_cache()
    with Clock() as cold:
        cross_val_score(head_of(settings), X, y, cv=settings["folds"])
    with Clock() as same_size:
        cross_val_score(head_of(settings, dropout=0.3), X, y, cv=settings["folds"])
    with Clock() as smaller:
        cross_val_score(head_of(settings, dense_units=256), X, y, cv=settings["folds"])
    return {
        "seconds": cold.seconds,
        "warm, 512 units": same_size.seconds,
        "warm, 256 units": smaller.seconds,
    }


def cv_scikeras(X, y, settings):
    """One fold of SciKeras, whose tags are mended so that it stratifies at all."""
    from scikeras.wrappers import KerasClassifier

    load_keras()
    clf = KerasClassifier(
        model=lambda: keras_classifier(settings, n_classes=len(set(y))),
        epochs=settings["epochs"],
        batch_size=BATCH_SIZE,
        verbose=0,
    )
    return one_fold(mend(clf), X.astype(np.float32), y, settings)


def cv_keras(X, y, settings):
    """One fold of a hand-written loop."""
    load_keras()

    class HandWritten:
        def fit(self, X, y):
            self.model = keras_classifier(settings, n_classes=len(set(y)))
            self.model.fit(X, y, epochs=settings["epochs"], batch_size=BATCH_SIZE, verbose=0)

        def score(self, X, y):
            probabilities = self.model.predict(X, batch_size=BATCH_SIZE, verbose=0)
            return (probabilities.argmax(axis=1) == y).mean()

    return one_fold(HandWritten(), X.astype(np.float32), y, settings)


def cv_skorch(X, y, settings):
    """One fold of skorch with torchvision's DenseNet121."""
    import torch
    import torchvision
    from skorch import NeuralNetClassifier

    class Frozen(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = torchvision.models.densenet121(weights=None).features.eval()
            for weight in self.backbone.parameters():
                weight.requires_grad = False
            self.head = torch.nn.Sequential(
                torch.nn.Linear(1024, 512, bias=False),
                torch.nn.BatchNorm1d(512),
                torch.nn.ReLU(),
                torch.nn.Dropout(0.5),
                torch.nn.Linear(512, len(set(y))),
            )

        def train(self, mode=True):
            super().train(mode)
            self.backbone.eval()
            return self

        def forward(self, images):
            with torch.no_grad():
                maps = self.backbone(images.to(memory_format=torch.channels_last))
            return self.head(torch.relu(maps).mean(dim=(2, 3)))

    clf = NeuralNetClassifier(
        Frozen,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        max_epochs=settings["epochs"],
        batch_size=BATCH_SIZE,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )
    images = X.transpose(0, 3, 1, 2).astype(np.float32) / 255
    return one_fold(clf, images, y.astype(np.int64), settings)


def one_fold(clf, X, y, settings):
    """Fit and score one fold."""
    train, test = next(StratifiedKFold(settings["folds"]).split(X, y))
    with Clock() as clock:
        clf.fit(X[train], y[train])
        clf.score(X[test], y[test])
    return {"seconds": clock.seconds * settings["folds"], "measured": "one fold"}


# A search; ours are in searches.py


def search_scikeras(X, y, settings):
    """One fold of three, multiplied by folds and trials."""
    result = cv_scikeras(X, y, {**settings, "folds": 3})
    return {"seconds": result["seconds"] * settings["trials"], "measured": "one fold"}


# Fine-tuning the last stage


def top_ours(X, y, settings):
    """An epoch of the last stage, the activations at the cut being known."""
    load_keras()

    def fit(epochs):
        clf = head_of(settings).set_params(
            trainable="last_stage", epochs=1, fine_tune_epochs=epochs
        )
        with Clock() as clock:
            clf.fit(X, y)
        return clock.seconds

    fit(1)
    few, many = fit(1), fit(5)
    return {"seconds": (many - few) / 4}


def top_keras(X, y, settings):
    """An epoch of the same network by Keras, the same convolutions being frozen."""
    import keras

    model = head_of(settings).set_params(epochs=1).fit(X[::8], y[::8]).model_
    for layer in model.layers:
        if not layer.name.startswith("head_"):
            layer.trainable = layer.name.startswith("conv5") and not layer.name.endswith("_bn")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    ends = []
    stamp = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter())
    )
    model.fit(X, y, epochs=3, batch_size=BATCH_SIZE, callbacks=[stamp], verbose=0)
    return {"seconds": float(np.median(np.diff(ends)))}


# A network that is trained whole


def cnn_ours(X, y, settings):
    """Five folds of the custom CNN."""
    load_keras()
    X = shrunk(X, 48)
    clf = CNNClassifier(image_size=48, epochs=settings["epochs"], random_state=0)
    with Clock() as clock:
        cross_val_score(clf, X, y, cv=settings["folds"])
    return {"seconds": clock.seconds}


def cnn_scikeras(X, y, settings):
    """Five folds of the same network in SciKeras."""
    import keras
    from scikeras.wrappers import KerasClassifier

    load_keras()
    X = shrunk(X, 48)

    def build():
        layers = keras.layers
        network = [
            keras.Input(X.shape[1:]),
            layers.Rescaling(1 / 255),
            layers.BatchNormalization(momentum=0.9, center=False, scale=False),
        ]
        for filters in (32, 64, 128):
            network += [
                layers.Conv2D(filters, 3, padding="same", use_bias=False),
                layers.BatchNormalization(momentum=0.9),
                layers.ReLU(),
                layers.MaxPooling2D(),
            ]
        network += [layers.Flatten(), *head_layers(len(set(y)))]
        return compiled(keras.Sequential(network))

    clf = KerasClassifier(model=build, epochs=settings["epochs"], batch_size=BATCH_SIZE, verbose=0)
    with Clock() as clock:
        cross_val_score(mend(clf), X.astype(np.float32), y, cv=settings["folds"])
    return {"seconds": clock.seconds}


# Prediction


def predict_both(X, y, settings):
    """``predict_proba``, cold and warm, beside ``model_.predict`` at the same batch size."""
    if settings["network"] == "DenseNet121":
        clf = head_of(settings)
    else:
        clf = MobileNetClassifier(
            alpha=0.25, weights=None, trainable="head", image_size=settings["size"], random_state=0
        )
    clf.set_params(epochs=1).fit(X[::4], y[::4])
    many = np.resize(X, (settings["n_images"], *X.shape[1:])).copy()
    # No two alike, so that every image has to go through the network.
    many[:, 0, 0, 0], many[:, 0, 1, 0] = np.divmod(np.arange(len(many)), 256)
    clf.model_.predict(many[:BATCH_SIZE], batch_size=BATCH_SIZE, verbose=0)
    clf.predict_proba(many[:BATCH_SIZE])
    clear_feature_cache()
    with Clock() as cold:
        clf.predict_proba(many)
    with Clock() as warm:
        clf.predict_proba(many)
    with Clock() as bare:
        clf.model_.predict(many, batch_size=BATCH_SIZE, verbose=0)
    return {"seconds": cold.seconds, "warm": warm.seconds, "bare": bare.seconds}


# More images than fit in memory


def paths_ours(X, y, settings):
    """Fit and predict on JPEG files, and the most memory that was resident meanwhile."""
    load_keras()
    paths = sorted(map(str, Path(settings["folder"]).glob("*.jpg")))[: settings["n_images"]]
    labels = np.arange(len(paths)) % 2
    clf = MobileNetClassifier(
        alpha=0.25, weights=None, trainable="head", image_size=128, epochs=1, random_state=0
    )
    clf.fit(paths[:64], labels[:64])
    clear_feature_cache()
    with Clock() as fit:
        clf.fit(paths, labels)
    clear_feature_cache()
    with Clock() as predict:
        clf.predict_proba(paths)
    seconds = fit.seconds + predict.seconds
    return {"seconds": seconds, "fit": fit.seconds, "most memory": most_memory()}


def paths_everything(X, y, settings):
    """Fit a CNN, of which everything learns, for one epoch on JPEG files; the most memory."""
    load_keras()
    paths = sorted(map(str, Path(settings["folder"]).glob("*.jpg")))[: settings["n_images"]]
    with Clock() as fit:
        CNNClassifier(epochs=1, random_state=0).fit(paths, np.arange(len(paths)) % 2)
    return {"seconds": fit.seconds, "most memory": most_memory()}


def reading_ours(X, y, settings):
    """Read JPEG files of 512 px at the size of the network; then the network alone."""
    load_keras()
    paths = sorted(map(str, Path(settings["folder"]).glob("*.jpg")))[: settings["n_images"]]
    reader = ImageReader(image_size=settings["size"], channels=3)
    reader.transform(paths[:16])
    with Clock() as reading:
        pixels = reader.transform(paths)
    features = BackboneFeatures(
        "MobileNet",
        image_size=settings["size"],
        weights=None,
        feature_cache=None,
        random_state=0,
    )
    features.fit_transform(pixels[:16])
    with Clock() as network:
        features.transform(pixels)
    return {"seconds": reading.seconds, "network": network.seconds}


def contend(work, contender, folder, settings):
    """Let a contender do a piece of work on the images of a folder; return what it measured."""
    images = np.load(Path(folder) / "images.npz")
    function = {**vars(searches), **globals()}[f"{work}_{contender}"]
    return function(images["X"], images["y"], settings)


if __name__ == "__main__":
    work, contender, folder, settings = sys.argv[1:]
    print(json.dumps(contend(work, contender, folder, json.loads(settings))))
