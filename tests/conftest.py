"""Small images and the real data for the tests."""

import os
import uuid
from pathlib import Path

import numpy as np
import pytest

from lungestimators import CNNClassifier

# Tests import ONNX Runtime, which would report to its maker, before the package forbids it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def make_squares():
    """48 read-only 16x16 images in two classes: with a bright square, and without."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 60, size=(48, 16, 16), dtype=np.uint8)
    y = np.tile(["clear", "opaque"], 24)
    X[y == "opaque", 4:12, 4:12] += 120
    X.flags.writeable = False
    return X, y


def make_cnn():
    """A CNN that trains in a moment."""
    return CNNClassifier(
        image_size=16, filters=(4, 8), dense_units=16, epochs=4, learning_rate=0.01, random_state=0
    )


@pytest.fixture
def squares():
    """48 read-only 16x16 images in two classes: with a bright square, and without."""
    return make_squares()


@pytest.fixture
def cnn():
    """A CNN that trains in a moment."""
    return make_cnn()


@pytest.fixture(scope="session")
def fitted_cnn():
    """The classifier ``cnn``, fitted to ``squares``.

    A test that fits the classifier again, sets its parameters or calls its ``model_`` takes
    ``cnn``: ``model_`` keeps what TensorFlow traced for the shapes of earlier calls.
    """
    return make_cnn().fit(*make_squares())


@pytest.fixture(scope="session")
def real_data():
    """The folder of real images; results on it are in benchmarks/results."""
    folder = os.environ.get("LUNGESTIMATORS_DATA")
    if folder is None:
        pytest.skip("LUNGESTIMATORS_DATA names no folder of real images")
    return Path(folder)


@pytest.fixture(scope="session")
def real_weights(real_data):
    """The folder of real ImageNet weights, beside the data."""
    folder = real_data.parent / "weights"
    if not folder.is_dir():
        pytest.skip("there is no folder of weights beside LUNGESTIMATORS_DATA")
    return folder


@pytest.fixture
def postgresql():
    """The URL of an empty database on a real server."""
    url = os.environ.get("LUNGESTIMATORS_POSTGRESQL")
    if url is None:
        pytest.skip("LUNGESTIMATORS_POSTGRESQL names no PostgreSQL server")
    sqlalchemy = pytest.importorskip("sqlalchemy")
    name = f"lungestimators_{uuid.uuid4().hex}"
    server = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield str(sqlalchemy.make_url(url).set(database=name).render_as_string(hide_password=False))
    with server.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    server.dispose()
