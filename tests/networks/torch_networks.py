"""PyTorch networks with the names and the arithmetic of torchvision, timm and torchxrayvision."""

import torch
from torch import nn


class DenseNet(nn.Module):
    """A DenseNet with torchvision's names; with one channel it is torchxrayvision's."""

    def __init__(self, blocks, channels=3):
        super().__init__()
        self.blocks = blocks
        self.features = nn.Sequential()
        self.features.add_module("conv0", nn.Conv2d(channels, 64, 7, 2, padding=3, bias=False))
        self.features.add_module("norm0", nn.BatchNorm2d(64))
        width = 64
        for number, n_layers in enumerate(blocks, start=1):
            block = nn.Sequential()
            for layer in range(n_layers):
                block.add_module(f"denselayer{layer + 1}", DenseLayer(width))
                width += 32
            self.features.add_module(f"denseblock{number}", block)
            if number < len(blocks):
                transition = nn.Sequential()
                transition.add_module("norm", nn.BatchNorm2d(width))
                width //= 2
                transition.add_module("conv", nn.Conv2d(2 * width, width, 1, bias=False))
                self.features.add_module(f"transition{number}", transition)
        self.features.add_module("norm5", nn.BatchNorm2d(width))
        self.classifier = nn.Linear(width, 18)
        self.register_buffer("op_threshs", torch.rand(18))
        self.pathologies = ["Pneumonia"]

    def forward(self, x):
        """Return the last map of each of the last three resolutions."""
        part = self.features
        x = torch.relu(part.norm0(part.conv0(x)))
        x = nn.functional.max_pool2d(x, 3, 2, padding=1)
        maps = []
        for number in range(1, len(self.blocks) + 1):
            for layer in getattr(part, f"denseblock{number}"):
                x = torch.cat([x, layer(x)], 1)
            if number < len(self.blocks):
                transition = getattr(part, f"transition{number}")
                x = transition.conv(torch.relu(transition.norm(x)))
                maps.append(x)
                x = nn.functional.avg_pool2d(x, 2, 2)
        return [*maps[-2:], torch.relu(part.norm5(x))]


class DenseLayer(nn.Module):
    """Two convolutions, each behind its normalisation."""

    def __init__(self, width):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, 128, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(128)
        self.conv2 = nn.Conv2d(128, 32, 3, padding=1, bias=False)

    def forward(self, x):
        x = self.conv1(torch.relu(self.norm1(x)))
        return self.conv2(torch.relu(self.norm2(x)))


class MobileNetV2(nn.Module):
    """MobileNetV2 with torchvision's names."""

    def __init__(self, alpha=1.0):
        super().__init__()
        width, stages = _rounded(32 * alpha), [convolution(3, _rounded(32 * alpha), 3, 2)]
        for expansion, channels, repeats, stride in (
            (1, 16, 1, 1),
            (6, 24, 2, 2),
            (6, 32, 3, 2),
            (6, 64, 4, 2),
            (6, 96, 3, 1),
            (6, 160, 3, 2),
            (6, 320, 1, 1),
        ):
            for number in range(repeats):
                out = _rounded(channels * alpha)
                stages.append(InvertedResidual(width, out, stride if number == 0 else 1, expansion))
                width = out
        stages.append(convolution(width, _rounded(1280 * max(1.0, alpha)), 1))
        self.features = nn.Sequential(*stages)
        self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(1280, 1000))

    def forward(self, x):
        """Return the last map of each of the last three resolutions."""
        maps = []
        for stage in self.features:
            if isinstance(stage, InvertedResidual) and stage.stride == 2:
                maps.append(stage.conv[0](x))  # expanded, before the resolution is halved
            x = stage(x)
        return [*maps[-2:], x]


class InvertedResidual(nn.Module):
    """A block of MobileNetV2: expand, filter each channel, project."""

    def __init__(self, width, out, stride, expansion):
        super().__init__()
        self.stride = stride
        self.residual = stride == 1 and width == out
        inner = width * expansion
        expand = [convolution(width, inner, 1)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *expand,
            convolution(inner, inner, 3, stride, groups=inner),
            nn.Conv2d(inner, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


def convolution(width, out, size, stride=1, groups=1):
    """A convolution, its normalisation and ReLU6."""
    kernel = nn.Conv2d(width, out, size, stride, padding=size // 2, groups=groups, bias=False)
    return nn.Sequential(kernel, nn.BatchNorm2d(out), nn.ReLU6())


def _rounded(width):
    """The next multiple of 8, but not less than nine tenths of the width."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * width else rounded + 8


def with_random_values(network, channels=3):
    """Give a network random kernels, and statistics near those of noise; switch it to inference.

    Statistics that have nothing to do with the maps, and variances below theirs, would enlarge each
    rounding from layer to layer. The kernels are small, so that the number added to a variance
    matters.
    """
    draw = torch.Generator().manual_seed(0)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data.normal_(0, 0.2 / module.weight[0].numel() ** 0.5, generator=draw)
    for norm in norms:
        norm.weight.data.uniform_(0.5, 1.5, generator=draw)
        norm.bias.data.normal_(0, 0.3, generator=draw)
        norm.momentum = None  # the statistics of all batches
    scale = 512 if channels == 1 else 1
    with torch.no_grad():
        network.train()(scale * torch.randn((4, channels, 64, 64), generator=draw))
        for norm in norms:
            factor = torch.empty_like(norm.running_var).uniform_(1, 3, generator=draw)
            norm.running_mean += norm.running_var.sqrt() * 0.3 * (factor - 2)
            norm.running_var *= factor
            norm.momentum = 0.1
    return network.eval()


def timm_names(state):
    """The state dict of a MobileNetV2 with timm's names."""
    places = [(s, i) for s, repeats in enumerate((1, 2, 3, 4, 3, 3, 1)) for i in range(repeats)]
    modules = {"features.0.0": "conv_stem", "features.0.1": "bn1"}
    modules |= {"features.18.0": "conv_head", "features.18.1": "bn2", "classifier.1": "classifier"}
    for number, (stage, index) in enumerate(places):
        block = f"features.{number + 1}.conv"
        theirs = f"blocks.{stage}.{index}"
        pairs = (
            [("0.0", "conv_dw"), ("0.1", "bn1"), ("1", "conv_pw"), ("2", "bn2")]
            if number == 0
            else [
                ("0.0", "conv_pw"),
                ("0.1", "bn1"),
                ("1.0", "conv_dw"),
                ("1.1", "bn2"),
                ("2", "conv_pwl"),
                ("3", "bn3"),
            ]
        )
        modules |= {f"{block}.{ours}": f"{theirs}.{name}" for ours, name in pairs}
    return {
        f"{modules[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": value
        for name, value in state.items()
    }
