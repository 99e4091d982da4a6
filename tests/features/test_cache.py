"""The feature store: bounded, shared, and never wrong, whatever happens to its files."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import warnings

import pytest

from lungestimators import clear_feature_cache, feature_cache_info, limit_feature_cache
from lungestimators.features.cache import close_feature_cache, open_feature_cache
from lungestimators.features.directory_store import DirectoryStore
from lungestimators.features.memory_store import MemoryStore

# A writer of entries whose values follow from their keys, so that a wrong one is recognised.
WRITER = """
import hashlib, itertools, sys, warnings
from lungestimators.features.cache import open_feature_cache

def value(key):
    return hashlib.sha256(key).digest() * 128

warnings.simplefilter("error")
store = open_feature_cache(sys.argv[1])
limit = int(sys.argv[2])
print("ready", flush=True)
for start in itertools.count(0, 16):
    if limit and start >= limit:
        break
    keys = [b"%d" % (number % 4096) for number in range(start, start + 16)]
    for key, got in store.get(keys).items():
        assert got == value(key), key
    store.put({key: value(key) for key in keys})
"""


def value_of(key):
    import hashlib

    return hashlib.sha256(key).digest() * 128


@pytest.fixture(params=["memory", "directory"])
def any_store(request, tmp_path):
    if request.param == "memory":
        return MemoryStore(2**20)
    return DirectoryStore(tmp_path / "cache")


def file_of(directory):
    return directory / "features.sqlite"


def test_a_store_that_was_closed_is_open_anew_when_it_is_named_again(tmp_path):
    cache = str(tmp_path / "features")
    first = open_feature_cache(cache)
    first.put({b"key": b"value"})
    close_feature_cache(cache)
    close_feature_cache(cache)
    again = open_feature_cache(cache)
    assert again is not first
    assert again.get([b"key"]) == {b"key": b"value"}


def test_what_was_put_is_found_again_and_nothing_else(any_store):
    any_store.put({b"a": b"1" * 4096, b"b": b""})
    assert any_store.get([b"a", b"b", b"c"]) == {b"a": b"1" * 4096, b"b": b""}


def test_a_second_value_replaces_the_first(any_store):
    any_store.put({b"a": b"1" * 1000})
    any_store.put({b"a": b"2" * 1000})
    assert any_store.get([b"a"]) == {b"a": b"2" * 1000}


def test_more_keys_than_sqlite_takes_in_one_statement(any_store):
    any_store.limit(10 * 2**20)
    keys = [b"%d" % number for number in range(2000)]
    any_store.put({key: key for key in keys})
    assert any_store.get(keys) == {key: key for key in keys}


def test_the_least_recently_used_leave_first(any_store, monkeypatch):
    any_store.limit(2**20)
    now = time.time()
    for number in range(300):
        monkeypatch.setattr(time, "time", lambda number=number: now + 1000 * number)
        any_store.put({b"%d" % number: bytes(8192)})
        assert any_store.get([b"0"])
    assert any_store.info().bytes <= 2**20
    assert any_store.get([b"299"]) and any_store.get([b"0"])
    assert not any_store.get([b"1", b"2", b"3"])


def test_a_new_limit_holds_at_once_and_clearing_leaves_nothing(any_store):
    any_store.put({b"%d" % number: bytes(8192) for number in range(50)})
    any_store.limit(100_000)
    assert 0 < any_store.info().bytes <= 100_000
    any_store.count(hits=1, misses=2)
    any_store.clear()
    assert any_store.info() == (0, 0, 0, 100_000)


def test_a_directory_is_one_store_and_remembers_its_limit(tmp_path):
    cache = tmp_path / "cache"
    limit_feature_cache(12345678, cache)
    assert open_feature_cache(str(cache)) is open_feature_cache(str(cache))
    assert DirectoryStore(cache).info().max_bytes == 12345678
    assert feature_cache_info(cache).max_bytes == 12345678


def test_a_directory_that_was_deleted_is_made_anew(tmp_path):
    import shutil

    cache = tmp_path / "cache"
    open_feature_cache(str(cache)).put({b"a": b"1"})
    shutil.rmtree(cache)
    open_feature_cache(str(cache)).put({b"b": b"2"})
    assert DirectoryStore(cache).get([b"a", b"b"]) == {b"b": b"2"}


def test_asking_about_no_cache_is_an_error(tmp_path):
    for question in (feature_cache_info, clear_feature_cache):
        with pytest.raises(ValueError, match="holds no feature cache"):
            question(tmp_path)
    with pytest.raises(ValueError, match="must not be negative"):
        limit_feature_cache(-1)


def test_a_directory_of_other_things_is_refused(tmp_path):
    (tmp_path / "image.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"holds other files, such as 'image.png'"):
        open_feature_cache(str(tmp_path))
    with pytest.raises(ValueError, match="must be a directory"):
        open_feature_cache(str(tmp_path / "image.png"))
    assert os.listdir(tmp_path) == ["image.png"]


def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path):
    file_of(tmp_path).write_bytes(b"something else" * 1000)
    with pytest.raises(ValueError, match="cannot be used"):
        open_feature_cache(str(tmp_path))
    assert file_of(tmp_path).read_bytes() == b"something else" * 1000

    file_of(tmp_path).unlink()
    with sqlite3.connect(file_of(tmp_path)) as database:
        database.execute("CREATE TABLE entry (another INTEGER)")
    with pytest.raises(ValueError, match="not a feature cache"):
        open_feature_cache(str(tmp_path))


def test_another_version_is_refused_by_name(tmp_path):
    DirectoryStore(tmp_path)
    with sqlite3.connect(file_of(tmp_path)) as database:
        database.execute("PRAGMA user_version = 7")
    with pytest.raises(ValueError, match="it has version 7, not 1"):
        DirectoryStore(tmp_path)


@pytest.mark.parametrize(
    "damage",
    ["value = zeroblob(4096)", "value = x'00'", "value = NULL", "checksum = x'00'", "used = 'a'"],
)
def test_a_damaged_entry_is_dropped(tmp_path, damage):
    cache = DirectoryStore(tmp_path)
    cache.put({b"a": b"1" * 4096, b"b": b"2" * 4096})
    with sqlite3.connect(file_of(tmp_path)) as database:
        database.execute(f"UPDATE entry SET {damage} WHERE key = ?", (b"a",))
    assert cache.get([b"a", b"b"]) == {b"b": b"2" * 4096}
    with sqlite3.connect(file_of(tmp_path)) as database:
        assert database.execute("SELECT count(*) FROM entry").fetchone() == (1,)


def test_a_file_damaged_anywhere_never_gives_a_wrong_value(tmp_path):
    keys = [b"%d" % number for number in range(200)]
    rng = random.Random(0)
    for attempt in range(20):
        folder = tmp_path / str(attempt)
        DirectoryStore(folder).put({key: value_of(key) for key in keys})
        content = bytearray(file_of(folder).read_bytes())
        for _ in range(50):
            content[rng.randrange(4096, len(content))] = rng.randrange(256)
        file_of(folder).write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a malformed file
            found = DirectoryStore(folder).get(keys)
        assert all(value == value_of(key) for key, value in found.items())


def test_a_full_disk_is_warned_of_and_what_was_there_stays(tmp_path):
    cache = DirectoryStore(tmp_path)
    cache.put({b"a": b"1" * 4096})
    pages = cache._database_connection().execute("PRAGMA page_count").fetchone()[0]
    cache._database_connection().execute(f"PRAGMA max_page_count = {pages}")
    with pytest.warns(UserWarning, match=r"database or disk is full.*not kept"):
        cache.put({b"b": b"2" * 100_000})
    assert cache.get([b"a", b"b"]) == {b"a": b"1" * 4096}


def test_a_read_only_cache_is_warned_of_and_still_read(tmp_path, monkeypatch):
    DirectoryStore(tmp_path).put({b"a": b"1"})
    # Permissions do not bind an administrator, so the answer is replaced.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.warns(UserWarning, match="may not be written to"):
        cache = DirectoryStore(tmp_path)
    cache.put({b"b": b"2"})
    assert cache.get([b"a", b"b"]) == {b"a": b"1"}
    for change in (cache.clear, lambda: cache.limit(5)):
        with pytest.raises(ValueError, match="may not be written to"):
            change()
    with pytest.raises(ValueError, match="may not be written to"):
        DirectoryStore(tmp_path / "new")


def test_a_forked_process_has_a_connection_of_its_own(tmp_path):
    cache = DirectoryStore(tmp_path)
    cache.put({b"a": b"1"})
    child = os.fork()
    if not child:
        cache.put({b"b": b"2"})
        os._exit(0 if cache.get([b"a"]) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert cache.get([b"a", b"b"]) == {b"a": b"1", b"b": b"2"}


def test_a_process_that_was_forked_in_the_middle_of_a_write_does_not_wait_for_ever(tmp_path):
    cache = open_feature_cache(str(tmp_path))
    cache.put({b"a": b"1"})
    with cache._lock, cache.computing:
        child = os.fork()
        if not child:
            with cache.computing:
                os._exit(0 if cache.get([b"a"]) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_write_that_was_interrupted_leaves_no_transaction_open(tmp_path):
    cache = DirectoryStore(tmp_path)

    class Interrupted:
        def __iter__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache._write_to_database("DELETE FROM entry WHERE key = ?", Interrupted())
    assert not cache._database_connection().in_transaction
    cache.put({b"a": b"1"})
    assert cache.get([b"a"])


def test_a_lower_limit_gives_the_space_back(tmp_path):
    cache = DirectoryStore(tmp_path)
    cache.put({b"%d" % number: bytes(8192) for number in range(200)})
    cache.limit(200_000)
    assert file_of(tmp_path).stat().st_size < 300_000


@pytest.mark.slow
def test_eight_processes_write_and_some_are_killed_at_any_moment(tmp_path):
    cache = tmp_path / "cache"
    rng = random.Random(0)

    def start(limit=0):
        return subprocess.Popen(
            [sys.executable, "-c", WRITER, str(cache), str(limit)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    survivors = [start(limit=512) for _ in range(4)]
    doomed = [start() for _ in range(4)]
    for process in doomed:
        process.stdout.readline()  # it has begun
    for _ in range(12):
        time.sleep(rng.uniform(0, 0.3))
        victim = doomed.pop(rng.randrange(len(doomed)))
        victim.send_signal(signal.SIGKILL)
        assert victim.wait() == -signal.SIGKILL, victim.stderr.read().decode()
        doomed.append(start())
    for process in doomed:
        process.kill()
        process.communicate()
    for process in survivors:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()

    after = DirectoryStore(cache)
    keys = [b"%d" % number for number in range(4096)]
    found = after.get(keys)
    assert len(found) >= 512
    assert all(value == value_of(key) for key, value in found.items())
    assert after._database_connection().execute("PRAGMA integrity_check").fetchall() == [("ok",)]
