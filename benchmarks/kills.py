"""Workers of one search are killed at random moments: is every trial there, and once?

python benchmarks/kills.py --storage journal.log
python benchmarks/kills.py --storage postgresql+psycopg://user@host/database
"""

import random
import subprocess
import time


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
