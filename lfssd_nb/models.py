"""The networks by name: an `Architecture` is data, `build` makes a freshly initialised model."""

from dataclasses import dataclass

import torch
from torch import nn

from .data import Dataset
from .resnet import ResNet18
from .seeds import training_seed
from .vit import SIZES, vit

NAMES = ("resnet18", "vit")


@dataclass(frozen=True)
class Architecture:
    """``name``: ``"resnet18"`` (``width`` channels in its first stage; 64 is the papers') or
    ``"vit"`` (``size``: ``"micro"``, ``"tiny"``, ``"small"``, ``"vit_b_16"``; None picks by image size)."""

    name: str = "resnet18"
    width: int = 16
    size: str | None = None

    def __post_init__(self):
        if self.name not in NAMES:
            raise ValueError(f"unknown architecture {self.name!r}; choose one of {', '.join(NAMES)}")
        if self.size not in (None, *SIZES, "vit_b_16"):
            raise ValueError(f"unknown ViT size {self.size!r}; choose {', '.join(SIZES)} or vit_b_16")
        if self.width < 1:
            raise ValueError(f"width must be at least 1, got {self.width}")


def build(architecture: Architecture, data: Dataset, seed: int = 0, pretrained: bool = True) -> nn.Module:
    """A model for the data's channels, image size and classes, on the data's device.

    ``seed`` fixes the initial weights (drawn on the CPU, so that they are the same everywhere);
    the global random state is left as it was. ``pretrained``: as for `vit.vit`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(training_seed(seed))
        n_classes, size = len(data.classes), data.train_x.shape[-1]
        if architecture.name == "resnet18":
            model = ResNet18(n_classes, data.channels, architecture.width)
        else:
            fitting = "micro" if size < 16 else "small"
            model = vit(n_classes, data.channels, size, architecture.size or fitting, pretrained)
    return model.to(data.device)
