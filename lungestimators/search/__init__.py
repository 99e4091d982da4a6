"""OptunaSearch: an Optuna study as an estimator, and the spaces that it searches."""

import lazy_loader as lazy

from .optuna_search import OptunaSearch
from .space import search_space

# The samplers in these modules inherit from a class of Optuna: the modules, and Optuna with them,
# are imported at the first search.
__getattr__, _, _ = lazy.attach(__name__, submodules=["defaults", "users_sampler"])

__all__ = ["OptunaSearch", "search_space"]
