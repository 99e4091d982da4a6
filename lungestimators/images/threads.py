"""Call any function on many items in a few threads, and yield the results in order."""

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor

# Threads that read image files: decoders release Python's lock.
N_THREADS = min(4, os.cpu_count() or 1)

# Items that are begun beyond one for each thread, so that no thread waits for the consumer.
_AHEAD = 2


def map_in_threads(function, items):
    """Yield ``function(item)`` for each item, in order, computed by threads a few items ahead.

    Few results are held at once, however many items there are. When the function raises, or the
    consumer stops, the items that are not yet begun are dropped.
    """
    if isinstance(items, list) and len(items) == 1:  # to start a thread takes a millisecond
        yield function(items[0])
        return
    pool = ThreadPoolExecutor(N_THREADS)
    waiting = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > N_THREADS + _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
