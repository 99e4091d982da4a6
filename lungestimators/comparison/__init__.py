"""Is one model better than another? Scores, intervals and tests on the same folds."""

from .compare import compare_models, compare_predictions
from .report import ModelComparison

__all__ = ["ModelComparison", "compare_models", "compare_predictions"]
