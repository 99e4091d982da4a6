"""Networks are run, read and written by compiled functions of the running backend."""

import tracemalloc

import keras
import numpy as np
import pytest
from sklearn.base import clone

from lungestimators.backends import compiled


@pytest.mark.core
def test_values_are_written_and_read_as_copies():
    variables = [keras.Variable(np.zeros(shape, "float32")) for shape in ((3, 2), ())]
    values = [np.arange(6, dtype="float32").reshape(3, 2), np.float32(7)]
    compiled.write_variables_by_backend(variables, values)
    read = compiled.read_variables_by_backend(variables)
    values[0][:] = -1
    variables[0].assign(np.ones((3, 2)))
    np.testing.assert_array_equal(read[0], [[0, 1], [2, 3], [4, 5]])
    assert read[1] == 7
    assert all(isinstance(value, np.ndarray) for value in read)
    read[0][:] = -2
    np.testing.assert_array_equal(compiled.read_variables_by_backend(variables)[0], np.ones((3, 2)))
    with pytest.raises(ValueError):
        compiled.write_variables_by_backend(variables, values[:1])


@pytest.mark.core
def test_prediction_sets_the_weights_of_its_network_once(cnn, squares, monkeypatch):
    X, y = squares
    cnn.fit(X, y).predict(X)
    calls = []
    write = compiled.write_variables_by_backend

    def noting_write(into, values):
        calls.append(id(into[0]))
        write(into, values)

    monkeypatch.setattr(compiled, "write_variables_by_backend", noting_write)
    cnn.predict(np.concatenate([X] * 4))
    assert not calls
    clone(cnn).set_params(random_state=1).fit(X, y).predict(X)
    calls.clear()
    expected = cnn.predict_proba(X)
    assert len(set(calls)) == len(calls) == 2
    np.testing.assert_array_equal(cnn.predict_proba(X), expected)


@pytest.mark.slow
def test_prediction_takes_the_same_memory_for_any_number_of_images(cnn, squares):
    X, y = squares
    clf = cnn.set_params(image_size=64, epochs=1).fit(X, y)

    def peak(n_images):
        many = np.resize(X, (n_images, 16, 16))
        tracemalloc.start()
        clf.predict_proba(many)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(256)
    few = peak(512)
    # As floats at 64 pixels the further images would take 56 MB.
    assert peak(4096) - few < 4 * 2**20
