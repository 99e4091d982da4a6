"""Optuna studies that several processes work on and that survive kills; no images here."""

from .attempts import ERROR, settled_trials
from .description import DIGEST
from .running import SearchError, run_trials
from .storages import storage_without_password
from .study import copy_study_to_memory, open_study

__all__ = [
    "DIGEST",
    "ERROR",
    "SearchError",
    "copy_study_to_memory",
    "open_study",
    "run_trials",
    "settled_trials",
    "storage_without_password",
]
