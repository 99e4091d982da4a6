"""Where PyTorch computes."""

import torch


def default_device():
    """Return the GPU if there is one, and the CPU otherwise."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
