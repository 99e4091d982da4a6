"""Radiographs that are spoilt until no lungs are to be found."""

import torch


def spoil(images, generator):
    """Turn radiographs into pictures in which no lungs are to be found.

    In turn they are cut into tiles that change their places, turned by a quarter or a half, and
    replaced by a small part of them, enlarged.

    Parameters
    ----------
    images : Tensor of shape (n, 1, side, side), float32
    generator : torch.Generator

    Returns
    -------
    Tensor of the same shape
    """
    spoilt = []
    for number, image in enumerate(images):
        kind = number % 3
        if kind == 0:
            spoilt.append(_with_tiles_exchanged(image, generator))
        elif kind == 1:
            turns = int(torch.randint(1, 4, (), generator=generator))
            spoilt.append(torch.rot90(image, turns, (1, 2)))
        else:
            spoilt.append(_small_part(image, generator))
    return torch.stack(spoilt)


def _with_tiles_exchanged(image, generator):
    """Return an image of which the tiles of a grid lie in another order."""
    side = image.shape[-1]
    n = int(torch.randint(2, 5, (), generator=generator)) * 2 - 2  # 2, 4 or 6 a side
    size = -(-side // n)
    wide = torch.nn.functional.pad(image, (0, n * size - side) * 2)
    tiles = wide.reshape(n, size, n, size).transpose(1, 2).reshape(n * n, size, size)
    order = torch.roll(torch.randperm(n * n, generator=generator), 1)
    if torch.equal(order, torch.arange(n * n)):
        order = order.flip(0)
    tiles = tiles[order].reshape(n, n, size, size).transpose(1, 2)
    return tiles.reshape(1, n * size, n * size)[:, :side, :side]


def _small_part(image, generator):
    """Return a part of an image, a fifth to a third of its side, anywhere in it, enlarged."""
    side = image.shape[-1]
    part = int(side * (0.2 + 0.13 * torch.rand((), generator=generator)))
    top, left = (int(x) for x in torch.randint(0, side - part + 1, (2,), generator=generator))
    piece = image[None, :, top : top + part, left : left + part]
    return torch.nn.functional.interpolate(piece, size=side, mode="bilinear")[0]
