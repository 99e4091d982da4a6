"""Image classifiers for lung disease that scikit-learn accepts as its own.

The names below are imported when first used: ``import lungestimators`` loads no deep-learning
framework.
"""

import importlib

__version__ = "0.1.0"

_MODULES = {
    "CNNClassifier": "classifiers.classifiers",
    "MobileNetClassifier": "classifiers.classifiers",
    "DenseNetClassifier": "classifiers.classifiers",
    "BackboneClassifier": "classifiers.classifiers",
    "BackboneFeatures": "features.backbone_features",
    "BorderCrop": "preprocessing",
    "CLAHE": "preprocessing",
    "ImageReader": "preprocessing",
    "ImageReadError": "images.decoding",
    "OptunaSearch": "search.optuna_search",
    "search_space": "search.optuna_search",
    "audit_images": "audit.audit",
    "compare_models": "comparison.compare",
    "compare_predictions": "comparison.compare",
    "clear_feature_cache": "features.cache",
    "feature_cache_info": "features.cache",
    "limit_feature_cache": "features.cache",
    "fetch_lung_disease": "datasets.fetch",
    "fetch_pneumoniamnist": "datasets.fetch",
    "load_image_folder": "datasets.fetch",
    "load_image_table": "datasets.fetch",
    "load_images": "datasets.fetch",
    "make_chest_xrays": "datasets.fetch",
    "ClassDistributionDisplay": "plotting",
    "SampleImagesDisplay": "plotting",
    "TrainingCurvesDisplay": "plotting",
}

__all__ = ["__version__", *_MODULES]


def __getattr__(name):
    if name in _MODULES:
        return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
