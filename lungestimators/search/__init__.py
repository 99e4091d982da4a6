"""OptunaSearch: an Optuna study as an estimator, and the spaces that it searches."""

import lazy_loader as lazy

# The samplers in ``defaults`` inherit from Optuna's: it is imported, and Optuna with it, at the
# first search.
__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["defaults"],
    submod_attrs={"optuna_search": ["OptunaSearch"], "space": ["search_space"]},
)
