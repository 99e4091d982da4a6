"""Optuna studies on which several processes work and which survive kills; no images here."""

from .storages import without_password
from .study import (
    DIGEST,
    ERROR,
    SearchError,
    in_memory,
    open_study,
    run_trials,
    settled_trials,
)

__all__ = [
    "DIGEST",
    "ERROR",
    "SearchError",
    "in_memory",
    "open_study",
    "run_trials",
    "settled_trials",
    "without_password",
]
