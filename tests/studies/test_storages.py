"""The storages that a study can be kept in: journals, databases, storages of Optuna."""

import socket
import subprocess
import sys
import threading
import time

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState

from lungestimators.studies import run_trials, storages
from lungestimators.studies.storages import open_storage
from tests.studies.workers import WORKER, opened, suggest


def closed_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def test_a_server_that_cannot_be_reached_is_named_without_its_password():
    pytest.importorskip("psycopg")
    port = closed_port()
    with pytest.raises(ConnectionError, match=f"me:.*127.0.0.1:{port}/db.*cannot be reached") as e:
        opened(f"postgresql+psycopg://me:secret@127.0.0.1:{port}/db")
    assert "secret" not in str(e.value)


def test_a_server_that_does_not_answer_is_given_up(monkeypatch):
    pytest.importorskip("psycopg")
    monkeypatch.setattr(storages, "SECONDS_TO_CONNECT", 2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        start = time.monotonic()
        with pytest.raises(ConnectionError, match=r"cannot be reached: .*timeout"):
            opened(f"postgresql+psycopg://127.0.0.1:{server.getsockname()[1]}/db")
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    "url",
    [
        "a://me:p@ss@host/db",
        "a://me:p:s/s?@host/db?password=pass",
        "a://me@host/db?sslpassword=pass",
    ],
)
def test_no_part_of_a_password_is_shown(url):
    assert storages.storage_without_password(url).replace(":***", "") == "a://me@host/db"


def test_a_password_whose_end_would_count_as_the_host_is_refused():
    with pytest.raises(ValueError, match="write an '@' in a password as '%40'") as e:
        opened("postgresql+psycopg://me:se@cret@127.0.0.1/db")
    assert "cret" not in str(e.value)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url):
    with pytest.raises(ValueError, match="keeps nothing: storage=None is in memory"):
        opened(url)


def test_a_place_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ConnectionError, match=r"nowhere.*cannot be reached"):
        opened(f"sqlite:///{tmp_path / 'nowhere' / 'study.db'}")
    with pytest.raises(OSError, match="nowhere"):
        opened(tmp_path / "nowhere" / "journal.log")
    with pytest.raises(OSError, match=tmp_path.name):
        opened(tmp_path)


def test_what_is_no_storage_is_refused():
    with pytest.raises(TypeError, match="an Optuna storage; got 3"):
        opened(3)
    with pytest.raises(ValueError, match=r"nothing://.* is not a URL that SQLAlchemy knows") as e:
        opened("nothing://me:secret@host/db")
    assert "secret" not in str(e.value)
    with pytest.raises(ImportError, match=r"lungestimators\[postgresql\]"):
        opened("postgresql+pg8000://host/db")


@pytest.mark.parametrize("content", [b"SQLite format 3\0...", b"one line", b"a,b\n1,2\n"])
def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a journal of Optuna"):
        opened(path)
    assert path.read_bytes() == content


def test_a_damaged_journal_is_named(tmp_path):
    path = tmp_path / "journal"
    run_trials(opened(path), suggest, 1)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"\0\0\0\n", *lines[2:]]))
    with pytest.raises(ValueError, match="journal' is damaged"):
        opened(path)


@pytest.mark.parametrize("n_bytes", [1, 20])
def test_half_a_line_that_a_dead_process_left_is_cut_off(tmp_path, n_bytes):
    path = tmp_path / "journal"
    run_trials(opened(path), suggest, 2)
    path.write_bytes(path.read_bytes()[:-n_bytes])  # within what ends the second trial
    study = opened(path)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.RUNNING]
    study.set_user_attr("note", 1)
    assert opened(path).user_attrs["note"] == 1


def test_the_lock_of_a_killed_process_is_gone_with_it(tmp_path):
    path = tmp_path / "journal"
    study = opened(path)
    hold = """
study = open_study(storage)
study._storage._backend._lock.acquire()
print(flush=True)
time.sleep(60)
"""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER + hold, str(path), "1"], stdout=subprocess.PIPE
    )
    worker.stdout.readline()
    changed = threading.Thread(target=study.set_user_attr, args=("note", 1))
    changed.start()
    changed.join(0.3)
    assert changed.is_alive()
    worker.kill()
    changed.join(5)
    assert not changed.is_alive()
    worker.communicate()


def test_transactions_on_sqlite_exclude_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr(storages, "SECONDS_TO_WAIT_FOR_SQLITE", 0.1)
    url = f"sqlite:///{tmp_path / 'study.db'}"
    one, other = open_storage(url).engine, open_storage(url).engine
    with one.begin(), pytest.raises(sqlalchemy.exc.OperationalError, match="locked"):
        other.connect().begin()
    other.connect().begin()


def test_any_storage_of_optuna_is_used_as_it_is(tmp_path):
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'study.db'}")
    assert open_storage(storage) is storage
    run_trials(opened(storage), suggest, 2)
    assert len(storage.get_all_trials(1)) == 2
