"""Fitted classifiers in the formats of other runtimes: ONNX, LiteRT, SavedModel, OpenVINO."""

from .estimators import export

__all__ = ["export"]
