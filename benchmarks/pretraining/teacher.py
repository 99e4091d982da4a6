"""Features of networks with ImageNet weights, the teachers, which a student learns to compute."""

import numpy as np
import torch

from lungestimators.networks.architectures import build_application

from . import views
from .devices import default_device
from .torch_network import TorchNetwork

# What a teacher sees: the side of its images, and views of each image.
IMAGE_SIZE, N_VIEWS = 192, 3
_BATCH_SIZE = 64


def compute_targets(backbone, options, weights, pixels, seed, file, progress):
    """Compute a teacher's features of every view of every image, standardised.

    What a killed run had computed is read from ``file``.

    Parameters
    ----------
    backbone : str
        Name of the teacher's function in ``keras.applications``.
    options : dict
        Its further arguments, such as ``alpha``.
    weights : path
        The teacher's weights file.
    pixels : ndarray of shape (n_images, height, width), uint8
    seed : int
        Of the positions of the views.
    file : path
        A file for NumPy, written after each view.
    progress : callable
        Takes a line to print.

    Returns
    -------
    ndarray of shape (N_VIEWS, n_images, n_features), float16
    """
    done = list(np.load(file)) if file.exists() else []
    if len(done) < N_VIEWS:
        teacher = TorchNetwork(build_application(backbone, IMAGE_SIZE, 1, weights, options)).eval()
        device = default_device()
        teacher.to(device)
    while len(done) < N_VIEWS:
        view = len(done)
        positions = views.draw_positions(len(pixels), view, seed)
        features = []
        for start in range(0, len(pixels), _BATCH_SIZE):
            rows = slice(start, start + _BATCH_SIZE)
            images = views.move(torch.from_numpy(pixels[rows]), positions[rows], IMAGE_SIZE)
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
                features.append(teacher(images.to(device)).half().cpu().numpy())
        done.append(np.concatenate(features))
        part = file.with_suffix(".part.npy")
        np.save(part, np.stack(done))
        part.replace(file)
        progress(f"{backbone}, a teacher, has seen view {view + 1} of {N_VIEWS}")
    targets = np.stack(done)
    mean, deviation = targets.mean((0, 1), dtype=np.float64), targets.std((0, 1), dtype=np.float64)
    return ((targets - mean) / (deviation + 1e-3)).astype(np.float16)
