"""The functions that each backend must have, under one name each."""

from collections.abc import Callable
from typing import NamedTuple


class BackendFunctions(NamedTuple):
    """One backend's functions, which ``compiled`` calls."""

    training_steps: type
    compile_function: Callable
    read_variables: Callable
    write_variables: Callable
    new_optimizer: Callable
