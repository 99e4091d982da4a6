"""What several contenders need."""

import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from lungestimators import DenseNetClassifier

BATCH_SIZE = 16


class Clock:
    """Seconds spent in a ``with`` block."""

    def __enter__(self):
        self._start = time.perf_counter()
        return self

    def __exit__(self, *error):
        self.seconds = time.perf_counter() - self._start


def head_of(settings, **changes):
    """Our classifier; random weights cost what ImageNet's do."""
    return DenseNetClassifier(
        weights=None,
        trainable="head",
        image_size=settings["size"],
        blocks=settings["blocks"],
        epochs=settings["epochs"],
        random_state=0,
        **changes,
    )


def load_keras():
    """Import the frameworks: that is not what is compared."""
    import keras

    keras.Sequential([keras.layers.Dense(1)]).predict(np.ones((1, 1)), verbose=0)


def shrunk(X, size):
    """Images of another size."""
    return np.stack([np.asarray(Image.fromarray(image).resize((size, size))) for image in X])


def most_memory():
    """Return the most bytes that were ever resident; Linux only.

    getrusage would include what the process was before it started this program.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def densenet(settings):
    """Keras' own DenseNet with an average at its end."""
    import keras

    if settings["blocks"] == [6, 12, 24, 16]:
        build = keras.applications.DenseNet121
    else:
        general = sys.modules[keras.applications.DenseNet121.__module__].DenseNet

        def build(**options):
            return general(settings["blocks"], **options)

    size = settings["size"]
    return build(include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg")


def head_layers(n_classes):
    """The head that all contenders train."""
    from keras import layers

    return [
        layers.BatchNormalization(momentum=0.9, center=False, scale=False),
        layers.Dense(512, use_bias=False),
        layers.BatchNormalization(momentum=0.9),
        layers.ReLU(),
        layers.Dropout(0.5),
        layers.Dense(n_classes, activation="softmax"),
    ]


def keras_classifier(settings, n_classes):
    """A frozen DenseNet under that head, as one writes it by hand."""
    import keras

    backbone = densenet(settings)
    backbone.trainable = False
    inputs = keras.Input(backbone.input_shape[1:])
    x = backbone(keras.layers.Rescaling(1 / 255)(inputs), training=False)
    for layer in head_layers(n_classes):
        x = layer(x)
    return compiled(keras.Model(inputs, x))


def compiled(model):
    """Compile as all contenders do."""
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def mend(clf):
    """Give SciKeras' classifier the tags that make cross-validation stratify."""
    from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

    class Mended(type(clf)):
        def __sklearn_tags__(self):
            return Tags(
                estimator_type="classifier",
                target_tags=TargetTags(required=True),
                classifier_tags=ClassifierTags(),
                input_tags=InputTags(three_d_array=True),
            )

    clf.__class__ = Mended
    return clf
