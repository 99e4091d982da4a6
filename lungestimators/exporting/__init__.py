"""Fitted classifiers in the formats of other runtimes: ONNX, LiteRT, SavedModel, OpenVINO."""

from .export import export

__all__ = ["export"]
