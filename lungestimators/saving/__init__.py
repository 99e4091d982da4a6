"""Fitted estimators in a file: plain data and arrays, no code."""

from .estimators import describe_file, load, save

__all__ = ["describe_file", "load", "save"]
