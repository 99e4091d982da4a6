"""Views of an image: other position and size, then other exposure, blur and noise.

No view is mirrored: the heart lies on the left.
"""

import numpy as np
import torch
from torch.nn import functional

_ROTATION = 10.0  # degrees
_SHIFT = 0.08  # of the side
_ZOOM = 0.15  # on a logarithmic scale
_ASPECT = 0.08


def draw_positions(n_images, view, seed):
    """Draw the position of each image in one view.

    Returns
    -------
    Tensor of shape (n_images, 2, 3), float32
        Matrices as ``affine_grid`` takes them.
    """
    random = np.random.default_rng([seed, view])
    angle = np.deg2rad(random.uniform(-_ROTATION, _ROTATION, n_images))
    zoom = np.exp(random.uniform(-_ZOOM, _ZOOM, n_images))
    aspect = np.exp(random.uniform(-_ASPECT, _ASPECT, n_images))
    shift = random.uniform(-2 * _SHIFT, 2 * _SHIFT, (2, n_images))
    rows = [
        [zoom * aspect * np.cos(angle), -zoom * np.sin(angle), shift[0]],
        [zoom * np.sin(angle), zoom / aspect * np.cos(angle), shift[1]],
    ]
    return torch.from_numpy(np.array(rows, np.float32).transpose(2, 0, 1).copy())


def move(pixels, positions, side):
    """Return images in their positions, as squares of ``side`` pixels.

    Parameters
    ----------
    pixels : Tensor of shape (n, height, width), uint8
    positions : Tensor of shape (n, 2, 3)
    side : int

    Returns
    -------
    Tensor of shape (n, 1, side, side), float32
        Pixels in 0..1.
    """
    images = pixels[:, None].float() / 255
    grid = functional.affine_grid(positions, (len(images), 1, side, side), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def expose(images, generator):
    """Return images of another exposure, sharpness and noise.

    Parameters
    ----------
    images : Tensor of shape (n, 1, side, side), float32
    generator : torch.Generator

    Returns
    -------
    Tensor of the same shape
    """

    def draw(low, high):
        return low + (high - low) * torch.rand(len(images), 1, 1, 1, generator=generator)

    images = images ** torch.exp(draw(-0.5, 0.5))
    images = (images - 0.5) * torch.exp(draw(-0.35, 0.35)) + 0.5 + draw(-0.12, 0.12)
    side = images.shape[-1]
    coarse = functional.interpolate(images, size=side // 2, mode="bilinear", antialias=True)
    coarse = functional.interpolate(coarse, size=side, mode="bilinear")
    images = images + draw(0, 1) * (draw(0, 1) < 0.3) * (coarse - images)
    noise = torch.randn(images.shape, generator=generator)
    return (images + draw(0, 0.03) * noise).clamp(0, 1)
