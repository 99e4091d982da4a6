"""A study that several processes work on, and the places it can be kept."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState

from lungestimators.studies import heartbeats, storages
from lungestimators.studies import study as studies
from lungestimators.studies.storages import open_storage
from lungestimators.studies.study import SearchError, open_study, run_trials, settled_trials

WORKER = """
import os, signal, sys, time
import optuna
from lungestimators import studies, storages

def open_study(storage):
    return studies.open_study(
        storage, "study", direction="maximize", sampler=optuna.samplers.RandomSampler(),
        pruner=optuna.pruners.NopPruner(), description={"of": "x"},
    )

storage, n_trials = sys.argv[1], int(sys.argv[2])
"""
WORK = """
def objective(trial):
    time.sleep(0.02)
    return trial.suggest_float("x", 0, 1)

studies.run_trials(open_study(storage), objective, n_trials)
"""
DIE = """
def objective(trial):
    trial.suggest_float("x", 0, 1)
    os.kill(os.getpid(), signal.SIGKILL)

studies.run_trials(open_study(storage), objective, n_trials)
"""
ELSEWHERE = ["another machine", 1, 1]


def start(program, *arguments):
    return subprocess.Popen([sys.executable, "-c", WORKER + program, *map(str, arguments)])


def opened(storage=None, name="study", direction="maximize", **description):
    return open_study(
        storage,
        name,
        direction=direction,
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.NopPruner(),
        description=description or {"of": "x"},
    )


def suggest(trial):
    return trial.suggest_float("x", 0, 1)


def running_elsewhere(study, **user_attrs):
    """A trial that a process of another machine runs."""
    attributes = {heartbeats.HEARTBEAT: [*ELSEWHERE, 0], **user_attrs}
    trial = optuna.create_trial(state=TrialState.RUNNING, user_attrs=attributes)
    study.add_trial(trial)


@pytest.fixture(params=["journal", "sqlite", "postgresql"])
def storage(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql")
    path = tmp_path / "study"
    return str(path) if request.param == "journal" else f"sqlite:///{path}"


def test_processes_that_start_at_once_run_exactly_the_trials_asked_for(storage):
    workers = [start(WORK, storage, 12) for _ in range(3)]
    assert [worker.wait(120) for worker in workers] == [0, 0, 0]
    study = opened(storage)
    assert len(settled_trials(study)) == 12
    assert len(study.get_trials(states=(TrialState.COMPLETE,))) == 12
    assert not study.get_trials(states=(TrialState.RUNNING, TrialState.WAITING))


def test_a_trial_whose_process_died_is_tried_again_with_its_parameters(storage):
    worker = start(DIE, storage, 2)
    assert worker.wait(60) == -signal.SIGKILL
    study = opened(storage)
    run_trials(study, suggest, 2)
    dead, other, again = study.trials
    assert (dead.state, dead.user_attrs["lost"]) == (TrialState.FAIL, "killed")
    assert again.user_attrs["retry_of"] == dead.number
    assert again.params == dead.params
    assert [trial.number for trial in settled_trials(study)] == [again.number, other.number]


def test_a_dead_process_is_recognised_before_its_parent_has_noticed():
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    beat = [*heartbeats._process(worker.pid), 0]
    trial = optuna.create_trial(state=TrialState.RUNNING, user_attrs={heartbeats.HEARTBEAT: beat})
    watch = heartbeats.Watch()
    assert not watch.is_dead(trial)
    worker.kill()
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    assert watch.is_dead(trial)
    worker.wait()
    assert watch.is_dead(trial)


def test_a_trial_that_kills_its_process_again_and_again_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "RETRIES", 1)
    storage = tmp_path / "journal"
    for _ in range(2):
        assert start(DIE, storage, 1).wait(60) == -signal.SIGKILL
    study = opened(storage)
    run_trials(study, lambda trial: pytest.fail("was tried again"), 1)
    (trial,) = settled_trials(study)
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["error"] == "the process that ran it died, 2 times"


def test_a_process_of_another_machine_counts_as_dead_when_its_heart_stops(monkeypatch):
    monkeypatch.setattr(heartbeats, "GRACE", 0.3)
    study = opened()
    running_elsewhere(study)
    run_trials(study, suggest, 1)
    assert study.trials[0].user_attrs["lost"] == "killed"
    assert [trial.number for trial in settled_trials(study)] == [1]


def test_a_process_of_another_machine_whose_heart_beats_is_waited_for(monkeypatch):
    monkeypatch.setattr(heartbeats, "GRACE", 0.3)
    study = opened()
    running_elsewhere(study)
    other = study.trials[0]._trial_id

    def live():
        for count in range(20):
            time.sleep(0.05)
            study._storage.set_trial_user_attr(other, "heartbeat", [*ELSEWHERE, count])
        study.tell(0, 0.5)

    thread = threading.Thread(target=live)
    thread.start()
    run_trials(study, lambda trial: pytest.fail("is surplus"), 1)
    thread.join()
    assert [trial.value for trial in study.trials] == [0.5]


def test_a_trial_beats_while_it_runs(monkeypatch):
    monkeypatch.setattr(heartbeats, "INTERVAL", 0.02)
    study = opened()
    run_trials(study, lambda trial: time.sleep(0.3) or 1, 1)
    assert study.trials[0].user_attrs["heartbeat"][-1] >= 2


def test_of_two_trials_at_once_the_second_is_surplus(monkeypatch):
    study = opened()
    begin = studies._begin

    def begin_second(study, **options):
        running_elsewhere(study)
        return begin(study, **options)

    monkeypatch.setattr(studies, "_begin", begin_second)
    run_trials(study, lambda trial: pytest.fail("is surplus"), 1, timeout=0.2)
    first, second = study.trials
    assert first.state == TrialState.RUNNING
    assert (second.state, second.user_attrs["surplus"]) == (TrialState.FAIL, True)


def test_of_two_retries_at_once_the_second_is_surplus(monkeypatch):
    study = opened()
    with pytest.raises(KeyboardInterrupt):
        run_trials(study, interrupt, 1)
    begin = studies._begin

    def begin_second(study, **options):
        running_elsewhere(study, retry_of=0, attempt=1)
        return begin(study, **options)

    monkeypatch.setattr(studies, "_begin", begin_second)
    run_trials(study, lambda trial: pytest.fail("is surplus"), 1, timeout=0.2)
    assert [trial.user_attrs.get("surplus", False) for trial in study.trials] == [
        False,
        False,
        True,
    ]


def interrupt(trial):
    suggest(trial)
    raise KeyboardInterrupt


def test_an_interrupted_trial_is_tried_again_when_the_search_goes_on(storage):
    study = opened(storage)
    with pytest.raises(KeyboardInterrupt):
        run_trials(study, interrupt, 2)
    study = opened(storage)
    run_trials(study, suggest, 2)
    assert study.trials[2].params == study.trials[0].params
    assert [trial.number for trial in settled_trials(study)] == [2, 1]


def test_the_last_point_of_a_grid_can_be_tried_again(tmp_path):
    study = open_study(
        tmp_path / "journal",
        "study",
        direction="maximize",
        sampler=optuna.samplers.GridSampler({"x": [0.25]}),
        pruner=optuna.pruners.NopPruner(),
        description={},
    )
    with pytest.raises(KeyboardInterrupt):
        run_trials(study, interrupt, 1)
    run_trials(study, suggest, 1)
    assert [trial.value for trial in settled_trials(study)] == [0.25]


def test_interrupting_does_not_use_up_retries(monkeypatch):
    study = opened()
    for _ in range(studies.RETRIES + 2):
        with pytest.raises(KeyboardInterrupt):
            run_trials(study, interrupt, 1)
    run_trials(study, suggest, 1)
    assert [trial.state for trial in settled_trials(study)] == [TrialState.COMPLETE]


def test_a_process_that_was_taken_for_dead_changes_nothing_any_more(storage):
    study, ended = opened(storage), []

    def lose_first(trial):
        x = suggest(trial)
        if trial.number == 0:
            other = opened(storage)
            studies._lose(other, other.trials[0], {"lost": "killed"})
            trial.report(x, 0)
        return x

    run_trials(study, lose_first, 1, on_trial_end=lambda _, trial: ended.append(trial.number))
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]
    assert ended == [1]


def test_a_failed_trial_says_why_and_counts(storage):
    study, ended = opened(storage), []

    def fail_first(trial):
        if trial.number == 0:
            raise ZeroDivisionError("of all things")
        return float("nan") if trial.number == 1 else suggest(trial)

    run_trials(study, fail_first, 3, on_trial_end=lambda _, trial: ended.append(trial.state))
    assert ended == [TrialState.FAIL, TrialState.FAIL, TrialState.COMPLETE]
    errors = [trial.user_attrs.get("error") for trial in settled_trials(study)]
    assert errors == [
        "ZeroDivisionError: of all things",
        "ValueError: the value of the trial is not a number",
        None,
    ]


@pytest.mark.parametrize("failing", [0, 1])
def test_a_fault_of_the_search_ends_it_unless_a_trial_is_complete(failing):
    study = opened()

    def fail(trial):
        if trial.number == failing:
            raise SearchError("no scorer")
        return suggest(trial)

    if failing == 0:
        with pytest.raises(SearchError, match="no scorer"):
            run_trials(study, fail, 3)
    else:
        run_trials(study, fail, 3)
    states = [trial.state.name for trial in settled_trials(study)]
    assert states == [["FAIL"], ["COMPLETE", "FAIL", "COMPLETE"]][failing]


def test_a_database_that_fails_in_between_ends_the_search_and_keeps_the_rest(tmp_path):
    study = opened(f"sqlite:///{tmp_path / 'study.db'}")

    def break_second(trial):
        if trial.number == 1:
            with sqlite3.connect(tmp_path / "study.db") as database:
                database.execute("ALTER TABLE trial_params RENAME TO away")
        return suggest(trial)

    with pytest.raises(ConnectionError, match=r"storage of study 'study' fails.*no such table"):
        run_trials(study, break_second, 3)
    with sqlite3.connect(tmp_path / "study.db") as database:
        database.execute("ALTER TABLE away RENAME TO trial_params")
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.RUNNING]


def test_a_pruned_trial_counts():
    study = opened()

    def prune(trial):
        trial.report(0.25, 0)
        raise optuna.TrialPruned

    run_trials(study, prune, 1)
    assert [(trial.state, trial.value) for trial in study.trials] == [(TrialState.PRUNED, 0.25)]


def test_a_study_goes_on_where_it_was(storage):
    run_trials(opened(storage), suggest, 2)
    values = [trial.value for trial in opened(storage).trials]
    run_trials(opened(storage), suggest, 3)
    run_trials(opened(storage), suggest, 1)
    study = opened(storage)
    assert [trial.value for trial in study.trials[:2]] == values
    assert len(study.trials) == 3


def test_a_trial_that_the_user_put_in_the_queue_runs_and_counts():
    study = opened()
    study.enqueue_trial({"x": 0.125})
    run_trials(study, suggest, 2)
    assert study.trials[0].value == 0.125
    assert len(study.trials) == 2


def test_no_trial_starts_after_the_time():
    study = opened()
    run_trials(study, lambda trial: time.sleep(0.1) or 1, 100, timeout=0.25)
    assert 1 <= len(settled_trials(study)) <= 3
    run_trials(study, suggest, 200, timeout=0)
    assert len(study.trials) <= 3


def test_a_study_of_something_else_is_refused_and_left_alone(storage):
    run_trials(opened(storage, of="x", folds=[1, (2, 3)]), suggest, 1)
    run_trials(opened(storage, of="x", folds=(1, [2, 3])), suggest, 1)
    for other, named in (
        ({"of": "y", "folds": [1, [2, 3]]}, "of: 'x' there, 'y' here"),
        ({"of": "x"}, "folds: only there"),
        ({"of": "x", "folds": [1, [2, 3]], "direction": "minimize"}, "direction: 'maximize'"),
    ):
        with pytest.raises(ValueError, match=f"study 'study' is about something else: {named}"):
            opened(storage, **other)
    study = opened(storage, of="x", folds=[1, [2, 3]])
    assert len(study.trials) == 1
    assert study.user_attrs == {
        "description": {"direction": "maximize", "of": "x", "folds": [1, [2, 3]]}
    }


def test_a_study_that_somebody_else_made_is_refused():
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="study", direction="maximize")
    study.optimize(suggest, 1)
    with pytest.raises(ValueError, match="has trials and no description"):
        opened(storage)


def test_a_study_whose_maker_died_at_once_is_taken_over(monkeypatch):
    monkeypatch.setattr(studies, "SECONDS_TO_DESCRIBE", 0.1)
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(storage=storage, study_name="study", direction="maximize")
    study = opened(storage)
    assert study.user_attrs["description"] == {"direction": "maximize", "of": "x"}


@pytest.mark.parametrize("directions", [["minimize"], ["maximize", "maximize"]])
def test_a_study_that_somebody_else_made_for_another_direction_is_refused(directions):
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="study", directions=directions)
    with pytest.raises(ValueError, match=f"direction: '{', '.join(directions)}' there, 'max"):
        opened(storage)
    assert study.user_attrs == {}


def test_trials_may_be_put_in_the_queue_before_the_first_search(monkeypatch):
    monkeypatch.setattr(studies, "SECONDS_TO_DESCRIBE", 0.1)
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="study", direction="maximize")
    study.enqueue_trial({"x": 0.125})
    run_trials(opened(storage), suggest, 2)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    assert study.trials[0].value == 0.125


def test_a_study_that_goes_on_does_not_repeat_a_seeded_sampler(tmp_path):
    for n_trials in (2, 4):
        study = opened(tmp_path / "journal")
        run_trials(study, suggest, n_trials)
    values = [trial.value for trial in study.trials]
    assert len(set(values)) == 4
    fresh = opened()
    run_trials(fresh, suggest, 2)
    assert [trial.value for trial in fresh.trials] == values[:2]


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
    assert storages.without_password(url).replace(":***", "") == "a://me@host/db"


def test_a_password_whose_end_would_count_as_the_host_is_refused():
    with pytest.raises(ValueError, match="write an '@' in a password as '%40'") as e:
        opened("postgresql+psycopg://me:se@cret@127.0.0.1/db")
    assert "cret" not in str(e.value)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url):
    with pytest.raises(ValueError, match="keeps nothing: storage=None is in memory"):
        opened(url)


def test_a_grid_that_was_tried_is_not_tried_again(tmp_path):
    for _ in range(2):
        study = open_study(
            tmp_path / "journal",
            "study",
            direction="maximize",
            sampler=optuna.samplers.GridSampler({"x": [0.25, 0.5]}),
            pruner=optuna.pruners.NopPruner(),
            description={},
        )
        run_trials(study, suggest, 5)
        assert sorted(trial.value for trial in study.trials) == [0.25, 0.5]


def test_a_retry_is_judged_by_the_pruner_anew():
    study = opened()

    def interrupt_late(trial):
        suggest(trial)
        trial.storage.set_trial_system_attr(trial._trial_id, "completed_rung_0", 0.5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trials(study, interrupt_late, 1)
    run_trials(study, suggest, 1)
    assert "completed_rung_0" in study.trials[0].system_attrs
    assert "completed_rung_0" not in study.trials[1].system_attrs


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


def test_opening_and_running_say_nothing_and_leave_the_verbosity(tmp_path, capfd):
    verbosity = optuna.logging.get_verbosity()
    for _ in range(2):
        run_trials(opened(tmp_path / "journal"), suggest, 1)
    assert optuna.logging.get_verbosity() == verbosity
    assert capfd.readouterr() == ("", "")


def test_importing_loads_no_framework():
    program = "import sys, lungestimators.studies.study; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "optuna" in done.stdout.split()
    assert not {"tensorflow", "keras", "torch", "jax"} & set(done.stdout.split())
