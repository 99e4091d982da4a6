"""Training of the network that finds lungs: on drawn outlines, then on its own of real images."""

import time
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from lungestimators.networks.lung_network import IMAGE_SIZE, MASK_SIZE

from . import lung_negatives, lung_views, views
from .devices import default_device
from .training import keep_state, share_of_learning_rate

# The teacher is the mean of the student's weights over about so many steps.
_STEPS_OF_TEACHER = 300
# A pixel of a real image counts where both views of the teacher are this sure, and agree.
_SURE = 0.8
# Less of the lungs than this within the image: neither found nor missed is asked for.
_LEAST_LUNG = 0.75


class Settings(NamedTuple):
    """How the network is trained.

    Attributes
    ----------
    epochs : int
    steps : int
        Of an epoch.
    synthetic, real, negative : int
        Images in a batch.
    learning_rate : float
        The largest; it rises over the first twentieth of all steps and falls as a cosine.
    weight_decay : float
    real_from : float
        Share of all steps after which real images are learnt from.
    """

    epochs: int
    steps: int = 100
    synthetic: int = 32
    real: int = 24
    negative: int = 12
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    real_from: float = 0.3


class Images(NamedTuple):
    """What is learnt from; all are squares of one size, uint8 but for the masks.

    Attributes
    ----------
    synthetic, masks : ndarray of shape (n_synthetic, side, side)
        Drawn radiographs, and the outlines of their lungs (bool).
    real : ndarray of shape (n_real, side, side)
        Radiographs without outlines.
    others : ndarray of shape (n_others, side, side)
        Pictures that are no frontal radiographs of a chest.
    """

    synthetic: np.ndarray
    masks: np.ndarray
    real: np.ndarray
    others: np.ndarray


def train(network, teacher, images, settings, seed, file, progress):
    """Train a network and its teacher; go on where a killed run had ended an epoch.

    Parameters
    ----------
    network : TorchNetwork
        Trained in place.
    teacher : TorchNetwork
        With the same weights; becomes the mean of the network over the last steps, and is what to
        keep.
    images : Images
    settings : Settings
    seed : int
    file : path
        Where the state is kept after every epoch.
    progress : callable
        Takes a line to print.
    """
    device = default_device()
    network.to(device, memory_format=torch.channels_last)
    teacher.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=settings.weight_decay)
    first = 0
    if file.exists():
        state = torch.load(file, map_location=device)
        network.load_state_dict(state["network"])
        teacher.load_state_dict(state["teacher"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"]
    n_steps = settings.epochs * settings.steps
    network.train()
    for epoch in range(first, settings.epochs):
        began = time.monotonic()
        random = np.random.default_rng([seed, epoch])
        generator = torch.Generator().manual_seed(seed * 10_000 + epoch)
        total = np.zeros(3)
        for step in range(epoch * settings.steps, (epoch + 1) * settings.steps):
            done = step / n_steps
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * share_of_learning_rate(done)
            with_real = done >= settings.real_from
            losses = _losses(network, teacher, images, settings, with_real, random, generator)
            optimizer.zero_grad()
            sum(losses).backward()
            optimizer.step()
            _follow(teacher, network, min(1 - 1 / _STEPS_OF_TEACHER, step / (step + 10)))
            total += [loss.item() for loss in losses]
        keep_state(file, epoch + 1, network=network, teacher=teacher, optimizer=optimizer)
        seconds = time.monotonic() - began
        outlines, found, own = total / settings.steps
        progress(
            f"epoch {epoch + 1} of {settings.epochs}: losses {outlines:.3f} of outlines, "
            f"{found:.3f} of lungs found, {own:.3f} of real images; {seconds:.0f} s, about "
            f"{seconds * (settings.epochs - epoch - 1) / 60:.0f} minutes left"
        )
    teacher.cpu()


@torch.no_grad()
def _follow(teacher, network, share):
    """Move the teacher's weights and statistics towards the student's; ``share`` is kept."""
    for old, new in zip(teacher.state_dict().values(), network.state_dict().values(), strict=True):
        if old.dtype.is_floating_point:
            old.lerp_(new, 1 - share)


def _losses(network, teacher, images, settings, with_real, random, generator):
    """Return the losses of one batch: of drawn outlines, of lungs found, and of real images."""
    device = next(network.parameters()).device

    def choose(pictures, n):
        return torch.from_numpy(pictures[random.integers(0, len(pictures), n)])

    rows = random.integers(0, len(images.synthetic), settings.synthetic)
    positions = lung_views.draw_positions(settings.synthetic, generator)
    synthetic = views.move(torch.from_numpy(images.synthetic[rows]), positions, IMAGE_SIZE)
    masks = torch.from_numpy(images.masks[rows])
    outlines = views.move(masks.to(torch.uint8) * 255, positions, IMAGE_SIZE)
    outlines = functional.avg_pool2d(outlines, IMAGE_SIZE // MASK_SIZE)
    gas = lung_views.draw_gas(settings.synthetic, IMAGE_SIZE, generator)
    outside = functional.interpolate(1 - outlines, size=IMAGE_SIZE, mode="bilinear")
    synthetic = synthetic * (1 - gas * outside)
    # How much of the lungs is still within the image, the zoom allowed for.
    scale = torch.linalg.det(positions[:, :, :2]).abs()
    shown = outlines.mean((1, 2, 3)) * scale / masks.float().mean((1, 2)).clamp(min=0.02)

    half = settings.negative // 2
    source = images.real if random.random() < 0.5 else images.synthetic
    spoilt = choose(source, half)
    spoilt = views.move(spoilt, lung_views.draw_positions(half, generator), IMAGE_SIZE)
    spoilt = lung_negatives.spoil(spoilt, generator)
    others = choose(images.others, settings.negative - half)
    others = views.move(
        others, lung_views.draw_positions(settings.negative - half, generator), IMAGE_SIZE
    )
    batch = [synthetic, spoilt, others]
    if with_real:
        real = choose(images.real, settings.real)
        positions = lung_views.draw_positions(settings.real, generator)
        real = views.move(real, positions, IMAGE_SIZE)
        wanted, weight = _outlines_by_teacher(teacher, real.to(device))
        batch.append(real)
    batch = lung_views.occlude(torch.cat(batch), generator)
    batch = batch.to(device, memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16):
        outputs = network(batch)
    found = outputs[:, -1].float()
    logits = outputs[:, :-1].float().reshape(-1, 1, MASK_SIZE, MASK_SIZE)
    n, n_negative = settings.synthetic, settings.negative

    loss = _loss_of_outlines(logits[:n], outlines.to(device), 1.0)
    # Where no lungs are to be found there is no outline.
    loss = loss + 0.1 * functional.softplus(logits[n : n + n_negative]).mean()
    known = shown >= _LEAST_LUNG
    answers = torch.cat([torch.ones(int(known.sum())), torch.zeros(n_negative)]).to(device)
    asked = torch.cat([found[:n][known.to(device)], found[n : n + n_negative]])
    loss_of_found = functional.binary_cross_entropy_with_logits(asked, answers)
    if not with_real:
        return loss, 0.3 * loss_of_found, torch.zeros(())
    real_found = functional.softplus(-found[n + n_negative :]).mean()
    loss_of_found = 0.5 * (loss_of_found + real_found)
    own = _loss_of_outlines(logits[n + n_negative :], wanted, weight)
    return loss, 0.3 * loss_of_found, own


@torch.no_grad()
def _outlines_by_teacher(teacher, real):
    """Return the teacher's outlines of real images, and the weight of each pixel.

    The teacher sees each image as it is, and mirrored. A pixel that it does not call lung, with
    lung above and below, does not count: it may be dense lung.
    """

    def look(pictures):
        with torch.autocast(pictures.device.type, torch.bfloat16):
            outputs = teacher(pictures.to(memory_format=torch.channels_last))
        return outputs[:, :-1].float().sigmoid().reshape(-1, 1, MASK_SIZE, MASK_SIZE)

    first, second = look(real), look(real.flip(3)).flip(3)
    mean = (first + second) / 2
    sure = (torch.minimum(first, second) > _SURE) | (torch.maximum(first, second) < 1 - _SURE)
    lung = (mean > 0.5).float()
    above, below = lung.cummax(2).values, lung.flip(2).cummax(2).values.flip(2)
    between = above * below > lung
    return lung, (sure & ~between).float()


def _loss_of_outlines(logits, wanted, weight):
    """Return cross-entropy and Dice loss of masks; ``weight`` says how much each pixel counts."""
    weight = torch.as_tensor(weight, device=logits.device).expand_as(logits)
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, weight)
    found = logits.sigmoid() * weight
    both = (found * wanted).sum((1, 2, 3))
    size = found.sum((1, 2, 3)) + (weight * wanted).sum((1, 2, 3))
    return entropy + (1 - (2 * both + 1) / (size + 1)).mean()
