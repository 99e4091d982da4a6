"""Training of a backbone on tasks, and on the features and geometry of a teacher, in PyTorch."""

import math
import time
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from . import views
from .devices import default_device
from .tasks import loss_of_task

# Heads on more features than this learn more slowly.
N_FEATURES_AT_FULL_RATE = 1024


class Settings(NamedTuple):
    """How a backbone is trained.

    Attributes
    ----------
    image_size : int
        In the second half of all epochs.
    first_image_size : int
        In the first half: smaller images are faster.
    epochs : int
    batch_size : int
    learning_rate : float
        The largest; it rises over the first twentieth of all steps and falls as a cosine.
    weight_decay : float
    teacher_weight : float
        Of the mean squared error of the teacher's standardised features.
    geometry_weight : float
        Of :func:`loss_of_geometry`.
    """

    image_size: int
    first_image_size: int
    epochs: int
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    teacher_weight: float = 1.0
    geometry_weight: float = 1.0


class Student(nn.Module):
    """A backbone, and one linear layer for each task and for the teacher's features."""

    def __init__(self, backbone, n_features, tasks, n_targets):
        super().__init__()
        self.backbone = backbone
        self.normalise = nn.BatchNorm1d(n_features, affine=False)
        self.heads = nn.ModuleList(nn.Linear(n_features, task.n_outputs) for task in tasks)
        self.imitate = nn.Linear(n_features, n_targets)

    def groups(self):
        """Return the parameters in two groups, with the share of the learning rate of each.

        A step of Adam moves each weight by as much, and so the sum over many features by more.
        """
        backbone = list(self.backbone.parameters())
        known = set(map(id, backbone))
        heads = [parameter for parameter in self.parameters() if id(parameter) not in known]
        share = min(1, N_FEATURES_AT_FULL_RATE / self.imitate.in_features)
        return [dict(params=backbone, share=1.0), dict(params=heads, share=share)]

    def forward(self, images):
        """Return the standardised features, the scores of each task, and the imitated features."""
        features = self.normalise(self.backbone(images))
        return features, [head(features) for head in self.heads], self.imitate(features)


def loss_of_geometry(features, wanted):
    """Return 1 minus the cosine between the similarities of images, by features and by the teacher.

    A linear layer finds the teacher's features in a small part of the student's. This loss asks it
    of all of them: where the teacher's features of two images are similar, the student's
    standardised features shall be. Without the similarity of an image to itself, the mean
    similarity is below 0, so that unrelated features have a loss a little below 1.

    Parameters
    ----------
    features : Tensor of shape (n_images, n_features), float32
        Standardised.
    wanted : Tensor of shape (n_images, n_targets), float32
        The teacher's features, standardised.

    References
    ----------
    Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019,
    arXiv:1905.00414, without the similarity of an image to itself; Tung and Mori,
    "Similarity-Preserving Knowledge Distillation", ICCV 2019, arXiv:1907.09682.
    """
    return 1 - functional.cosine_similarity(_similarities(features), _similarities(wanted), dim=0)


def _similarities(features):
    """Return the inner products of each image with every other one, from the mean of the batch."""
    centred = features - features.mean(0)
    products = centred @ centred.T
    return products[~torch.eye(len(products), dtype=torch.bool, device=products.device)]


def train(student, pixels, tasks, targets, settings, seed, file, progress):
    """Train a student, and return it; go on where a killed run had ended an epoch.

    Parameters
    ----------
    student : Student
        Trained in place.
    pixels : ndarray of shape (n_images, height, width), uint8
    tasks : list of Task
    targets : ndarray of shape (n_views, n_images, n_targets), float16
    settings : Settings
    seed : int
    file : path
        Where the state is kept after every epoch.
    progress : callable
        Takes a line to print.
    """
    device = default_device()
    # On a CPU, convolutions are faster in this order.
    student.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(student.groups(), weight_decay=settings.weight_decay)
    first = 0
    if file.exists():
        state = torch.load(file, map_location=device)
        student.load_state_dict(state["student"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"]
    positions = [views.draw_positions(len(pixels), view, seed) for view in range(len(targets))]
    n_steps = len(pixels) // settings.batch_size
    student.train()
    for epoch in range(first, settings.epochs):
        began = time.monotonic()
        random = np.random.default_rng([seed, epoch])
        generator = torch.Generator().manual_seed(seed * 10_000 + epoch)
        order = random.permutation(len(pixels))
        side = settings.image_size
        if 2 * epoch < settings.epochs:
            side = settings.first_image_size
        total = np.zeros(len(tasks) + 2)
        for step in range(n_steps):
            rows = order[step * settings.batch_size : (step + 1) * settings.batch_size]
            view = int(random.integers(len(targets)))
            done = (epoch * n_steps + step) / (settings.epochs * n_steps)
            rate = settings.learning_rate * share_of_learning_rate(done)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["share"]
            images = views.move(torch.from_numpy(pixels[rows]), positions[view][rows], side)
            images = views.expose(images, generator).to(device, memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16):
                features, scores, imitated = student(images)
            losses = [
                loss_of_task(found.float(), torch.from_numpy(task.labels[rows]).to(device))
                for found, task in zip(scores, tasks, strict=True)
            ]
            wanted = torch.from_numpy(targets[view, rows]).to(device).float()
            losses.append(settings.teacher_weight * functional.mse_loss(imitated.float(), wanted))
            losses.append(settings.geometry_weight * loss_of_geometry(features.float(), wanted))
            optimizer.zero_grad()
            sum(losses).backward()
            optimizer.step()
            total += [loss.item() for loss in losses]
        keep_state(file, epoch + 1, student=student, optimizer=optimizer)
        seconds = time.monotonic() - began
        left = seconds * (settings.epochs - epoch - 1) / 60
        shown = ", ".join(f"{value:.3f}" for value in total / n_steps)
        progress(
            f"epoch {epoch + 1} of {settings.epochs}: losses {shown}; {seconds:.0f} s, about "
            f"{left:.0f} minutes left"
        )
    return student.cpu()


def keep_state(file, epoch, **parts):
    """Write the states of networks and of an optimizer, whole or not at all."""
    part = file.with_suffix(".part")
    states = {name: each.state_dict() for name, each in parts.items()}
    torch.save(states | dict(epoch=epoch), part)
    part.replace(file)


def share_of_learning_rate(done):
    """Return the share of the largest learning rate after a share of all steps."""
    if done < 0.05:
        return done / 0.05
    return 0.5 * (1 + math.cos(math.pi * (done - 0.05) / 0.95)) + 1e-3
