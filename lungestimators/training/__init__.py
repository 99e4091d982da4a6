"""One fit of a network: its stages, its epochs and the callbacks that see them."""

import lazy_loader as lazy

# ``fitting`` inherits from Keras' classes: it is imported, and Keras with it, at the first fit.
__getattr__, __dir__, __all__ = lazy.attach(
    __name__, submod_attrs={"fitting": ["fit_all_stages", "fit_stage_for_one_epoch"]}
)
