"""Transformers for a Pipeline in front of a classifier."""

from .border_crop import BorderCrop
from .clahe import CLAHE
from .image_reader import ImageReader

__all__ = ["CLAHE", "BorderCrop", "ImageReader"]
