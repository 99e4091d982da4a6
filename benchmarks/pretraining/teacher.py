"""Features of trained networks, the teachers, which a student learns to compute."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from lungestimators.networks.architectures import build_application
from lungestimators.networks.chest_weights import find_chest_weights, read_chest_weights

from . import views
from .devices import default_device
from .torch_network import TorchNetwork

# What a teacher with ImageNet weights sees: the side of its images. One with weights of the package
# sees images of the size that these were learnt from.
IMAGE_SIZE = 192
# Views of each image.
N_VIEWS = 3
_BATCH_SIZE = 64


class Teacher(NamedTuple):
    """A trained network.

    Attributes
    ----------
    name : str
        Of its function in ``keras.applications``.
    options : dict
        Further arguments of this function, such as ``alpha``.
    weights : path, or "chest"
    image_size : int
        Side in pixels of the images that it sees.
    sha256 : str
        Of its weights file.
    """

    name: str
    options: dict
    weights: str
    image_size: int
    sha256: str


def read_teacher(name, options, weights):
    """Return a :class:`Teacher`, of weights of the package where ``weights`` is "chest"."""
    file, image_size = weights, IMAGE_SIZE
    if weights == "chest":
        file = find_chest_weights(name, options)
        image_size = read_chest_weights(file, name, options).image_size
    digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    return Teacher(name, options, weights, image_size, digest)


def compute_targets(teacher, pixels, seed, file, progress):
    """Compute a teacher's features of every view of every image, standardised.

    What a killed run had computed is read from ``file``.

    Parameters
    ----------
    teacher : Teacher
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
        name, options, weights, image_size, _ = teacher
        network = TorchNetwork(build_application(name, image_size, 1, weights, options)).eval()
        device = default_device()
        network.to(device, memory_format=torch.channels_last)
    while len(done) < N_VIEWS:
        view = len(done)
        positions = views.draw_positions(len(pixels), view, seed)
        features = []
        for start in range(0, len(pixels), _BATCH_SIZE):
            rows = slice(start, start + _BATCH_SIZE)
            images = views.move(torch.from_numpy(pixels[rows]), positions[rows], image_size)
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
                features.append(network(images.to(device)).half().cpu().numpy())
        done.append(np.concatenate(features))
        part = file.with_suffix(".part.npy")
        np.save(part, np.stack(done))
        part.replace(file)
        progress(f"{name}, a teacher, has seen view {view + 1} of {N_VIEWS}")
    targets = np.stack(done)
    mean, deviation = targets.mean((0, 1), dtype=np.float64), targets.std((0, 1), dtype=np.float64)
    return ((targets - mean) / (deviation + 1e-3)).astype(np.float16)
