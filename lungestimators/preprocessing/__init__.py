"""Transformers for a Pipeline in front of a classifier."""

from .border_crop import BorderCrop
from .clahe import CLAHE
from .image_reader import ImageReader
from .lung_fields import LungFields

__all__ = ["CLAHE", "BorderCrop", "ImageReader", "LungFields"]
