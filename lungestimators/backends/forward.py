"""Forward passes in inference mode: an image's outputs do not depend on the images beside it.

A convolution may round differently in a batch of another size. So batches have one size, the last
one being padded, or else sizes that were seen to give the same bits.
"""

import concurrent.futures

import numpy as np

# Of the outputs for noise, this share must tell a difference: be no zero and vary with the input.
_LEAST_TELLING = 0.1

# To start threads for each call would take as long as a small network.
_threads = concurrent.futures.ThreadPoolExecutor(2)


class PaddedForward:
    """Forward passes in batches of one size; the last batch is padded.

    Parameters
    ----------
    function : callable
        An array of ``batch_size`` inputs -> the array of a network's outputs.
    batch_size : int
    """

    def __init__(self, function, batch_size):
        self._function = function
        self._batch_size = batch_size

    def __call__(self, inputs):
        """Return the outputs of inputs, in as many batches as they need."""
        return np.concatenate(
            [
                _run_padded_batch(self._function, batch, self._batch_size)
                for batch in _split_into_batches(inputs, self._batch_size)
            ]
        )


class AnySizeForward:
    """Forward passes in batches of 8, two at once, and in smaller ones that give the same bits.

    Two calls of 8 keep two cores busier than one call of 16. Whether a smaller batch gives the same
    bits is tried when a network gets fewer than 8 inputs for the second time: a process that does
    so once is not kept waiting, its inputs are padded. It is tried on noise and with random
    weights, under which every layer tells a difference; it then holds for all weights.

    Parameters
    ----------
    function : callable
        An array of any number of inputs -> the array of a network's outputs.
    find_function_for_one : callable
        ``(inputs) -> function``: compiles a function of one input for a network in which
        ``function`` rounds differently for one input than for several; ``inputs`` are two to try.
    random_weights : callable
        ``() -> context manager``: the network has random weights inside, and its own afterwards.
    """

    BATCH_SIZE = 8

    def __init__(self, function, find_function_for_one, random_weights):
        self._function = function
        self._find_function_for_one = find_function_for_one
        self._random_weights = random_weights
        self._had_few = False
        # The function for each smaller size of a batch, None where it gives other bits.
        self._smaller = {}

    def __call__(self, inputs):
        """Return the outputs of inputs, in as many batches as they need."""
        batches = _split_into_batches(inputs, self.BATCH_SIZE)
        # Before any thread runs: to try a size, the network gets other weights for a moment.
        of_last = self._function_for_few(batches[-1])
        calls = [(self._function, batch, self.BATCH_SIZE) for batch in batches[:-1]]
        calls.append((of_last[0], batches[-1], of_last[1]))
        if len(calls) == 1:
            return _run_padded_batch(*calls[0])
        return np.concatenate(list(_threads.map(lambda call: _run_padded_batch(*call), calls)))

    def _function_for_few(self, inputs):
        """Return the function for at most 8 inputs, and the size to which it needs them padded."""
        n_inputs = len(inputs)
        if n_inputs < self.BATCH_SIZE and self._had_few:
            size = 1 << (n_inputs - 1).bit_length()  # a power of 2
            while size < self.BATCH_SIZE:
                if size not in self._smaller:
                    self._smaller[size] = self._find_function_of_size(size, inputs.shape[1:])
                if self._smaller[size] is not None:
                    return self._smaller[size], size
                size *= 2
        self._had_few |= n_inputs < self.BATCH_SIZE
        return self._function, self.BATCH_SIZE

    def _find_function_of_size(self, size, shape):
        """Try functions on noise; return the first one with the bits of a whole batch, or None."""
        noise = np.random.default_rng(0).random((self.BATCH_SIZE, *shape), np.float32)

        def has_same_bits(function):
            batches = _split_into_batches(noise, size)
            return np.array_equal(np.concatenate([function(x) for x in batches]), expected)

        with self._random_weights():
            expected = self._function(noise)
            if not _tells_differences(expected):
                return None
            if has_same_bits(self._function):
                return self._function
            if size == 1:
                function = self._find_function_for_one(noise[:2])
                if has_same_bits(function):
                    return function
        return None


def _tells_differences(outputs):
    """Return whether outputs for noise would show that a layer rounds differently."""
    telling = (outputs != 0) & (np.ptp(outputs, axis=0) > 0) & np.isfinite(outputs)
    return telling.mean() >= _LEAST_TELLING


def _split_into_batches(inputs, size):
    """Return inputs as batches of a size, the last of which may be smaller."""
    return [inputs[start : start + size] for start in range(0, len(inputs), size)]


def _run_padded_batch(function, batch, size):
    """Return a function's outputs for a batch, which is padded to a size."""
    n_rows = len(batch)
    if n_rows < size:
        batch = np.pad(batch, [(0, size - n_rows)] + [(0, 0)] * (batch.ndim - 1))
    return function(batch)[:n_rows]
