"""The command line ``lungestimators``: the library's work without Python."""

from .program import main

__all__ = ["main"]
