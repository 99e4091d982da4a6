"""Training of a backbone on all tasks and on the teacher's features, in PyTorch."""

import math
import time
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

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
    """

    image_size: int
    first_image_size: int
    epochs: int
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    teacher_weight: float = 1.0


class Student(nn.Module):
    """A backbone, and one linear layer for each task and for the teacher's features."""

    def __init__(self, backbone, n_features, tasks, n_targets):
        super().__init__()
        self.backbone = backbone
        self.normalise = nn.BatchNorm1d(n_features)
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
        """Return the scores of each task, and the features that imitate the teacher's."""
        features = self.normalise(self.backbone(images))
        return [head(features) for head in self.heads], self.imitate(features)


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
        total = np.zeros(len(tasks) + 1)
        for step in range(n_steps):
            rows = order[step * settings.batch_size : (step + 1) * settings.batch_size]
            view = int(random.integers(len(targets)))
            done = (epoch * n_steps + step) / (settings.epochs * n_steps)
            rate = settings.learning_rate * _share_of_learning_rate(done)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["share"]
            images = views.move(torch.from_numpy(pixels[rows]), positions[view][rows], side)
            images = views.expose(images, generator).to(device, memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16):
                scores, imitated = student(images)
            losses = [
                loss_of_task(found.float(), torch.from_numpy(task.labels[rows]).to(device))
                for found, task in zip(scores, tasks, strict=True)
            ]
            wanted = torch.from_numpy(targets[view, rows]).to(device).float()
            losses.append(
                settings.teacher_weight * nn.functional.mse_loss(imitated.float(), wanted)
            )
            optimizer.zero_grad()
            sum(losses).backward()
            optimizer.step()
            total += [loss.item() for loss in losses]
        part = file.with_suffix(".part")
        torch.save(
            dict(
                student=student.state_dict(),
                optimizer=optimizer.state_dict(),
                epoch=epoch + 1,
            ),
            part,
        )
        part.replace(file)
        seconds = time.monotonic() - began
        left = seconds * (settings.epochs - epoch - 1) / 60
        shown = ", ".join(f"{value:.3f}" for value in total / n_steps)
        progress(
            f"epoch {epoch + 1} of {settings.epochs}: losses {shown}; {seconds:.0f} s, about "
            f"{left:.0f} minutes left"
        )
    return student.cpu()


def _share_of_learning_rate(done):
    """Return the share of the largest learning rate after a share of all steps."""
    if done < 0.05:
        return done / 0.05
    return 0.5 * (1 + math.cos(math.pi * (done - 0.05) / 0.95)) + 1e-3
