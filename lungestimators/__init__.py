"""Image classifiers for lung disease that scikit-learn accepts as its own.

The public names are imported when first used: ``import lungestimators`` loads no deep-learning
framework. ``__init__.pyi`` says where each of them is.
"""

import lazy_loader as lazy

__version__ = "0.1.0"

__getattr__, __dir__, _public = lazy.attach_stub(__name__, __file__)

__all__ = ["__version__", *_public]
