"""What only one deep-learning framework can do: compiled steps, devices, settings, a quiet start.

``tensorflow``, ``jax`` and ``keras`` import the framework of their name at their top. They are
reached as attributes of this package, so that only the framework in use is imported.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, submodules=["jax", "keras", "tensorflow"])
