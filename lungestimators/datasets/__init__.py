"""Data sets as scikit-learn has them: from folders, from tables, downloaded or synthetic."""

from .csv_table import load_image_table
from .fetch import fetch_lung_disease, fetch_pneumoniamnist
from .folder import load_image_folder, load_images
from .synthetic import make_chest_xrays

__all__ = [
    "fetch_lung_disease",
    "fetch_pneumoniamnist",
    "load_image_folder",
    "load_image_table",
    "load_images",
    "make_chest_xrays",
]
