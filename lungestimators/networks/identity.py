"""Arrays as part of the key of a cached function."""

import operator


class ArraysByIdentity:
    """Arrays that are never written to, compared by identity, to key a cached function."""

    def __init__(self, arrays):
        self.arrays = arrays

    def __hash__(self):
        return hash(tuple(map(id, self.arrays)))

    def __eq__(self, other):
        return len(self.arrays) == len(other.arrays) and all(
            map(operator.is_, self.arrays, other.arrays)
        )
