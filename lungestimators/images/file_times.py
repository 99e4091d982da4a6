"""Whether the time stamps of a file can be trusted to tell its content."""

import time

# A file that was changed a moment ago could be changed again without another time stamp: nothing is
# remembered of it until the file system's clock has ticked (ten milliseconds at most; two seconds
# where stamps are whole seconds).
TICK = 0.1
_COARSE_TICK = 2.0


def was_changed_a_moment_ago(state):
    """Return whether a file, given by its ``os.stat``, could change without another time stamp."""
    changed = max(state.st_mtime_ns, state.st_ctime_ns)
    tick = TICK if changed % 10**9 else _COARSE_TICK
    return time.time() - changed / 1e9 < tick
