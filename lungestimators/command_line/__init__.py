"""The command line ``lungestimators``: audit, fit, evaluate, predict and info, without Python."""

from .program import main

__all__ = ["main"]
