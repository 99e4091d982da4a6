"""Descriptions of studies: what a study is about, and how two descriptions differ."""

import time

from .._compat import optuna

DESCRIPTION = "description"  # user attribute of a study
DIGEST = "digest "  # begins a text that is compared and never shown
MOST_DIFFERENCES = 8  # shown in one message
SECONDS_TO_WAIT = 5


def wait_for_study_description(study):
    """Return the description of a study that another process created.

    Parameters
    ----------
    study : optuna.Study

    Returns
    -------
    dict or None
        None if there is none after SECONDS_TO_WAIT: the process died just after it created the
        study.

    Raises
    ------
    ValueError
        The study has trials and no description: another program made it.
    """
    stop = time.monotonic() + SECONDS_TO_WAIT
    while DESCRIPTION not in study.user_attrs:
        # Trials that wait in the queue may have been put there before the first search.
        if any(
            t.state != optuna.trial.TrialState.WAITING for t in study.get_trials(deepcopy=False)
        ):
            raise ValueError(
                f"study {study.study_name!r} has trials and no description of what they were run "
                "on, so no search of this package made it: whether its trials belong to this "
                "estimator and these data cannot be told. Name a new study, or delete this one"
            )
        if time.monotonic() > stop:
            return None
        time.sleep(0.1)
    return study.user_attrs[DESCRIPTION]


def name_differences_of_studies(study_name, known, given):
    """Return the text of an error that names what differs between two descriptions.

    Parameters
    ----------
    study_name : str
    known, given : dict of str to JSON
        The description in the storage, and the one of this search.

    Returns
    -------
    str
    """
    different = _compare_study_descriptions("", known, given)
    n_hidden = len(different) - MOST_DIFFERENCES
    if n_hidden > 0:
        different = [*different[:MOST_DIFFERENCES], f"and {n_hidden} more"]
    return (
        f"study {study_name!r} is about something else: {'; '.join(different)}. Name a new one, or "
        "set study_name=None to cross-validate the search"
    )


def _compare_study_descriptions(name, known, given):
    """Return a text for each difference; names digests only if nothing else beside them differs."""
    if not (isinstance(known, dict) and isinstance(given, dict)):
        return [f"{name}: {known!r} there, {given!r} here"]
    before = f"{name}, " if name else ""
    differences, digests = [], []
    for key in {**known, **given}:
        if key not in given:
            differences.append(f"{before}{key}: only there")
        elif key not in known:
            differences.append(f"{before}{key}: only here")
        elif _is_digest_in_study_description(known[key]) and _is_digest_in_study_description(
            given[key]
        ):
            digests += [key] * (known[key] != given[key])
        elif known[key] != given[key]:
            differences += _compare_study_descriptions(before + key, known[key], given[key])
    if differences or not digests:
        return differences
    return [f"{before}{_join_differences_of_studies(digests)}: not the same there and here"]


def _is_digest_in_study_description(value):
    """Whether a value of a description is a digest."""
    return isinstance(value, str) and value.startswith(DIGEST)


def _join_differences_of_studies(names):
    """Join the first MOST_DIFFERENCES names, and count the others."""
    n_hidden = len(names) - MOST_DIFFERENCES
    return ", ".join(names[:MOST_DIFFERENCES]) + (f" and {n_hidden} more" if n_hidden > 0 else "")
