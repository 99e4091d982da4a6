"""OptunaSearch: an Optuna study as an estimator, and the spaces that it searches."""

import lazy_loader as lazy

# The samplers in ``defaults`` and ``users_sampler`` inherit from a class of Optuna. These modules,
# and Optuna with them, are imported at the first search.
__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["defaults", "users_sampler"],
    submod_attrs={"optuna_search": ["OptunaSearch"], "space": ["search_space"]},
)
