"""Keras networks: their architecture, weights, parts, dropout and augmentation."""
