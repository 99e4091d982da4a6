"""Threads run a function over items, a few ahead, and keep the order."""

import threading
import time

import pytest

from lungestimators.images.threads import N_THREADS, map_in_threads


def test_results_come_in_order_though_the_first_takes_longest():
    def slow_at_first(item):
        time.sleep(0.05 if item == 0 else 0)
        return item * item

    assert list(map_in_threads(slow_at_first, range(20))) == [n * n for n in range(20)]


def test_few_items_are_begun_before_the_consumer_asks_for_more():
    begun = []
    results = map_in_threads(begun.append, range(1000))
    next(results)
    time.sleep(0.05)
    assert len(begun) <= N_THREADS + 3


def test_an_error_comes_in_its_turn_and_no_thread_is_left():
    before = threading.active_count()
    results = map_in_threads(lambda item: 1 / (3 - item), range(1000))
    assert [next(results) for _ in range(3)] == [1 / 3, 1 / 2, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert threading.active_count() == before
