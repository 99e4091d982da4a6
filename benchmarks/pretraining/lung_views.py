"""Views of a radiograph and of the outlines of its lungs: position, then exposure and occlusion."""

import torch
from torch.nn import functional

from . import views

_ROTATION = 0.25  # radians
_SHIFT = 0.25  # of half the side
_ZOOM = 0.3  # on a logarithmic scale
_ASPECT = 0.2


def draw_positions(n, generator):
    """Draw positions, half of them mirrored, as matrices of shape (n, 2, 3) for ``affine_grid``."""

    def draw(largest):
        return largest * (2 * torch.rand(n, generator=generator) - 1)

    angle, zoom, aspect = draw(_ROTATION), torch.exp(draw(_ZOOM)), torch.exp(draw(_ASPECT))
    mirrored = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    rows = [
        [mirrored * zoom * aspect * torch.cos(angle), -zoom * torch.sin(angle), draw(_SHIFT)],
        [mirrored * zoom * torch.sin(angle), zoom / aspect * torch.cos(angle), draw(_SHIFT)],
    ]
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


def occlude(images, generator):
    """Return images of another exposure, on which clouds, tubes, borders and labels may lie.

    Parameters
    ----------
    images : Tensor of shape (n, 1, side, side), float32
        Pixels in 0..1.
    generator : torch.Generator

    Returns
    -------
    Tensor of the same shape
    """
    n, _, side, _ = images.shape

    def draw(low, high, shape=(n, 1, 1, 1)):
        return low + (high - low) * torch.rand(shape, generator=generator)

    def often(share):
        return (torch.rand(n, 1, 1, 1, generator=generator) < share).float()

    # Shades over all of the image, as of scatter and of fat.
    shade = torch.randn(n, 1, 4, 4, generator=generator)
    shade = functional.interpolate(shade, size=side, mode="bicubic")
    images = images + often(0.5) * draw(0, 0.12) * shade
    # Clouds, bright as consolidated lung and fluid are.
    line = torch.linspace(-1, 1, side)
    for _ in range(3):
        x = line[None, None, None, :] - draw(-0.8, 0.8)
        y = line[None, None, :, None] - draw(-0.8, 0.8)
        distance = (x / draw(0.08, 0.5)) ** 2 + (y / draw(0.08, 0.5)) ** 2
        # The edge is rough, and either fades slowly or is as sharp as that of a consolidated lobe.
        cloud = torch.exp(-(distance ** draw(1, 4)))
        rough = torch.randn(n, 1, 16, 16, generator=generator)
        rough = functional.interpolate(rough, size=side, mode="bilinear")
        strength = often(0.4) * draw(0.3, 1.0)
        images = images + strength * (cloud * (1 + 0.3 * rough)).clamp(0, 1) * (0.85 - images)
    images = views.expose(images.clamp(0, 1), generator)
    # Some images are stretched so far that lungs become black, or bones white.
    images = ((images - 0.5) * torch.exp(draw(-0.3, 0.6)) + 0.5 + draw(-0.15, 0.15)).clamp(0, 1)
    return _with_border_and_label(images, generator)


def draw_gas(n, side, generator):
    """Draw how much darker than soft tissue the gas of stomach and bowel makes each pixel.

    Returns
    -------
    Tensor of shape (n, 1, side, side), float32
        0 (not darker) to 0.9; half of the images have no gas.
    """

    def draw(low, high):
        return low + (high - low) * torch.rand(n, 1, 1, 1, generator=generator)

    line = torch.linspace(-1, 1, side)
    gas = torch.zeros(n, 1, side, side)
    has_gas = (torch.rand(n, 1, 1, 1, generator=generator) < 0.5).float()
    for _ in range(4):
        x = (line[None, None, None, :] - draw(-0.8, 0.8)) / draw(0.05, 0.3)
        y = (line[None, None, :, None] - draw(0.1, 1.0)) / draw(0.05, 0.2)
        # Bubbles have a sharper edge than a Gaussian.
        bubble = torch.exp(-((x**2 + y**2) ** 2))
        gas = torch.maximum(gas, draw(0, 0.9) * bubble)
    return has_gas * gas


def _with_border_and_label(images, generator):
    """Return images of which some have a dark or bright border, a label or a line, as copies."""
    images = images.clone()
    side = images.shape[-1]
    chance = torch.rand(len(images), 3, generator=generator)
    for image, (border, label, line) in zip(images, chance.tolist(), strict=True):
        draw = torch.rand(8, generator=generator).tolist()
        if border < 0.2:
            value = 0.0 if draw[0] < 0.8 else draw[1]
            widths = [int(side * 0.1 * share) for share in draw[2:6]]
            image[:, : widths[0]] = value
            image[:, side - widths[1] :] = value
            image[:, :, : widths[2]] = value
            image[:, :, side - widths[3] :] = value
        if label < 0.3:
            high, wide = (2 + int(side * 0.08 * share) for share in draw[2:4])
            top, left = int(draw[4] * (side - high)), int(draw[5] * (side - wide))
            if draw[6] < 0.5:  # most stand at the top
                top //= 6
            image[:, top : top + high, left : left + wide] = 0.8 + 0.2 * draw[7]
        if line < 0.2:  # a tube or a cable
            start, slope = draw[2] * side, (draw[3] - 0.5) * 2
            rows = torch.arange(side)
            columns = (start + slope * rows).long()
            inside = (columns >= 0) & (columns < side - 1)
            image[0, rows[inside], columns[inside]] = 0.7 + 0.3 * draw[4]
            image[0, rows[inside], columns[inside] + 1] = 0.7 + 0.3 * draw[4]
    return images
