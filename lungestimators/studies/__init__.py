"""Optuna studies that several processes work on and that survive kills; they know nothing of images."""
