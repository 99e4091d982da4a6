"""Workers of one search are killed at random moments: is every trial there, and once?

python benchmarks/kills.py --storage journal.log
python benchmarks/kills.py --storage postgresql+psycopg://user@host/database

Each worker is a process that runs the same few lines: `OptunaSearch` with a small `CNNClassifier`
on synthetic images.
"""

import argparse
import collections
import random
import re
import shlex
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import optuna
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from lungestimators.studies.storages import storage_without_password

RESULTS = Path(__file__).parent / "results" / "kills"
WORKER = """
import sys
from lungestimators import CNNClassifier, OptunaSearch, make_chest_xrays

X, y = make_chest_xrays(60, image_size=32, random_state=0)
cnn = CNNClassifier(image_size=32, filters=(4, 8), dense_units=16, random_state=0)
storage, study_name, n_trials = sys.argv[1:]
OptunaSearch(
    cnn, cv=2, n_trials=int(n_trials), storage=storage, study_name=study_name, refit=False
).fit(X, y)
"""
NOTE = """Workers are killed by SIGKILL and started again at once. Retried: finished trials that are
a second attempt or a later one. Lost: seen finished during the work, and at its end not there as
seen. Doubled: finished trials of equal origin or equal parameters."""


def work_and_kill(command, n_finished, *, n_workers, n_trials, n_kills, seed, seconds):
    """Run `n_workers` processes to their end, and on the way kill one `n_kills` times.

    Each that is killed is started again at once. The moments are random, and follow the progress of
    the work, so that all kills happen however fast it is.

    Parameters
    ----------
    command : list of str
        Runs a worker.
    n_finished : callable
        Says how many trials are finished.
    n_workers, n_trials, n_kills, seed : int
        How many, and what the moments follow from.
    seconds : float
        How long it may take.

    Raises
    ------
    RuntimeError
        If a worker fails that was not killed.
    TimeoutError
        If it takes longer.
    """
    choose = random.Random(seed)
    moments = sorted(choose.uniform(0, 0.9 * n_trials) for _ in range(n_kills))
    stop = time.monotonic() + seconds
    workers = [subprocess.Popen(command) for _ in range(n_workers)]
    try:
        while moments or any(worker.poll() is None for worker in workers):
            if any(worker.poll() for worker in workers):
                raise RuntimeError("a worker failed; what it printed says why")
            if time.monotonic() > stop:
                raise TimeoutError(f"{n_finished()} of {n_trials} trials in {seconds} seconds")
            time.sleep(choose.uniform(0.05, 0.4))
            if moments and n_finished() >= moments[0]:
                del moments[0]
                place = choose.randrange(n_workers)
                workers[place].kill()
                workers[place].wait()
                workers[place] = subprocess.Popen(command)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


class Observer:
    """Looks into a study with Optuna alone, and remembers what was ever finished."""

    def __init__(self, storage, study_name):
        if "://" in storage:
            self._storage = RDBStorage(storage)
        else:
            self._storage = JournalStorage(JournalFileBackend(storage))
        self._study_name = study_name
        self._seen = {}

    def trials(self):
        """All trials of the study; none before it is there."""
        try:
            return optuna.load_study(study_name=self._study_name, storage=self._storage).trials
        except KeyError:
            return []

    def n_finished(self):
        """How many trials are finished; those are remembered."""
        finished = [t for t in self.trials() if is_finished(t)]
        self._seen.update({t.number: (t.state, t.value) for t in finished})
        return len(finished)

    def count(self):
        """Count the trials of a study that has ended, by state and by fault."""
        trials = {t.number: t for t in self.trials()}
        finished = [t for t in trials.values() if is_finished(t)]
        states = collections.Counter(t.state for t in finished)
        known, doubled = set(), 0
        for trial in finished:
            original = trial.user_attrs.get("retry_of", trial.number)
            parameters = tuple(sorted(trial.params.items(), key=str))
            doubled += original in known or parameters in known
            known |= {original, parameters}
        now = {number: (t.state, t.value) for number, t in trials.items()}
        return {
            "complete": states[TrialState.COMPLETE],
            "pruned": states[TrialState.PRUNED],
            "failed": states[TrialState.FAIL],
            "retried": sum("retry_of" in t.user_attrs for t in finished),
            "lost": sum(now.get(number) != seen for number, seen in self._seen.items()),
            "doubled": doubled,
        }


def is_finished(trial):
    """Whether a trial was evaluated to its end, or failed by an error."""
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or "error" in trial.user_attrs


def main(argv):
    """Work, kill, count, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--storage", required=True, help="a journal file, or a database's URL")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--kills", type=int, default=20)
    arguments = parser.parse_args(argv)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = arguments.storage
    name = f"kills of {datetime.now():%Y-%m-%d %H:%M:%S}"
    observer = Observer(storage, name)
    work_and_kill(
        [sys.executable, "-c", WORKER, storage, name, str(arguments.trials)],
        observer.n_finished,
        n_workers=arguments.workers,
        n_trials=arguments.trials,
        n_kills=arguments.kills,
        seed=0,
        seconds=3600,
    )
    row = {"asked": arguments.trials, "kills": arguments.kills, **observer.count()}
    table = "\n".join(
        [
            f"| {' | '.join(row)} |",
            "|" + " ---: |" * len(row),
            f"| {' | '.join(str(count) for count in row.values())} |",
        ]
    )
    print(table)
    RESULTS.mkdir(parents=True, exist_ok=True)
    kind = re.split(r"\W", storage)[0] if "://" in storage else "journal"
    shown = [storage_without_password(a) if "://" in a else a for a in argv]
    command = shlex.join(["python", "benchmarks/kills.py", *shown])
    text = f"```\n{command}\n```\n\n{table}\n\n{NOTE}\n"
    (RESULTS / f"{kind}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
