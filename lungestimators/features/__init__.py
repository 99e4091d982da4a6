"""Features: the outputs of frozen networks for images, computed once and kept in a store."""

from .backbone_features import BackboneFeatures
from .cache import clear_feature_cache, feature_cache_info, limit_feature_cache

__all__ = [
    "BackboneFeatures",
    "clear_feature_cache",
    "feature_cache_info",
    "limit_feature_cache",
]
