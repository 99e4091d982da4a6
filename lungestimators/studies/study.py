"""Open a study, or continue it, in any storage; copy a study into memory."""

import json
from contextlib import contextmanager

from .. import _compat
from .._compat import optuna
from .description import DESCRIPTION, name_differences_of_studies, wait_for_study_description
from .storages import open_storage


def open_study(storage, study_name, *, direction, sampler, pruner, description):
    """Create a study, or continue the one of that name if its description is the same.

    Parameters
    ----------
    storage : None, str, path-like or optuna.storages.BaseStorage
        See :func:`lungestimators.studies.storages.open_storage`.
    study_name : str or None
        None: a new study.
    direction : {"minimize", "maximize"}
        Of the value of a trial.
    sampler : optuna.samplers.BaseSampler
        Chooses parameters; not kept in the storage. It is seeded anew if the study is continued.
    pruner : optuna.pruners.BasePruner
        Ends trials early; not kept in the storage.
    description : dict of str to JSON
        What the study is about; kept in the storage. Errors do not show texts that begin with
        ``DIGEST``.

    Returns
    -------
    optuna.Study

    Raises
    ------
    ValueError
        The study of that name has another description or direction; it is not changed.
    """
    description = json.loads(json.dumps({"direction": direction, **description}))
    options = {"study_name": study_name, "storage": open_storage(storage)}
    options |= {"sampler": sampler, "pruner": pruner}
    with _opening_study_quietly():
        try:
            study = optuna.create_study(direction=direction, **options)
        except optuna.exceptions.DuplicatedStudyError:
            study = optuna.load_study(**options)
            there = ", ".join(way.name.lower() for way in study.directions)
            if there != direction:
                known, given = {"direction": there}, {"direction": direction}
                raise ValueError(name_differences_of_studies(study_name, known, given)) from None
            known = wait_for_study_description(study)
        else:
            known = None
    if known is None:
        study.set_user_attr(DESCRIPTION, description)
    elif known != description:
        raise ValueError(name_differences_of_studies(study_name, known, description))
    else:
        study.sampler.reseed_rng()  # another process has its first numbers, or is about to
    return study


def copy_study_to_memory(study):
    """Copy a study into the memory of this process.

    Parameters
    ----------
    study : optuna.Study

    Returns
    -------
    optuna.Study
        With the same name, trials, sampler and pruner. A study that is in memory is returned as it
        is.
    """
    if isinstance(_compat.optuna_storage_of(study), optuna.storages.InMemoryStorage):
        return study
    name, storage = study.study_name, optuna.storages.InMemoryStorage()
    with _opening_study_quietly():
        optuna.copy_study(
            from_study_name=name, from_storage=_compat.optuna_storage_of(study), to_storage=storage
        )
    return optuna.load_study(
        study_name=name, storage=storage, sampler=study.sampler, pruner=study.pruner
    )


@contextmanager
def _opening_study_quietly():
    """Keep Optuna from logging that it opens a study, then restore its verbosity."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(verbosity, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)
