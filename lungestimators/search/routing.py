"""Metadata of a search: which arguments of ``fit`` the splitter, the estimator and scorer get."""

import inspect
import warnings

from sklearn import get_config
from sklearn.metrics import check_scoring
from sklearn.utils import Bunch
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from .. import _compat


def route_metadata(search, scorer, params):
    """Split the further arguments of ``fit`` among splitter, estimator and scorer.

    With metadata routing enabled, by what each has requested. Otherwise ``groups`` goes to the
    splitter, all else to the estimator, and ``sample_weight`` to the scorer, too, if the scorer
    accepts it.

    Parameters
    ----------
    search : OptunaSearch
    scorer : callable
    params : dict

    Returns
    -------
    Bunch
        ``splitter.split``, ``estimator.fit`` and ``scorer.score``, each a dict of arguments.

    Warns
    -----
    UserWarning
        There are sample weights, and the scorer does not accept them.
    """
    if get_config()["enable_metadata_routing"]:
        return process_routing(search, "fit", **params)
    params = dict(params)
    groups = params.pop("groups", None)
    score_params = {}
    if params.get("sample_weight") is not None:
        if _routes_sample_weight_to_scorer(scorer):
            score_params["sample_weight"] = params["sample_weight"]
        else:
            warnings.warn(
                f"The scorer {scorer} takes no sample_weight: scores are not weighted",
                UserWarning,
                stacklevel=3,
            )
    return Bunch(
        estimator=Bunch(fit=params),
        splitter=Bunch(split={"groups": groups}),
        scorer=Bunch(score=score_params),
    )


def _routes_sample_weight_to_scorer(scorer):
    """Whether a scorer can weight its samples."""
    accepts = _compat.sklearn_scorer_accepts_weight(scorer)
    return "sample_weight" in inspect.signature(scorer).parameters if accepts is None else accepts


def make_metadata_router(search):
    """Return scikit-learn's description of the metadata that a search hands on.

    Parameters
    ----------
    search : OptunaSearch

    Returns
    -------
    sklearn.utils.metadata_routing.MetadataRouter
    """
    to_scorer = MethodMapping().add(caller="score", callee="score")
    return (
        MetadataRouter(owner=search)
        .add(
            estimator=search.estimator,
            method_mapping=MethodMapping().add(caller="fit", callee="fit"),
        )
        .add(
            scorer=check_scoring(search.estimator, search.scoring),
            method_mapping=to_scorer.add(caller="fit", callee="score"),
        )
        .add(
            splitter=search.cv,
            method_mapping=MethodMapping().add(caller="fit", callee="split"),
        )
    )
