"""The functions that each backend must have, under one name each."""

from collections.abc import Callable
from typing import NamedTuple


class BackendFunctions(NamedTuple):
    """One backend's functions, which ``compiled`` calls.

    ``any_size_forward`` returns forward passes for batches of any size, or None; it is None itself
    where each size of a batch would be compiled anew.
    """

    training_steps: type
    compile_function: Callable
    read_variables: Callable
    write_variables: Callable
    new_optimizer: Callable
    any_size_forward: Callable | None = None
