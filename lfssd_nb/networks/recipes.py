"""How to train, as data: a `Recipe`, and the default for each data set and architecture."""

import math
from dataclasses import dataclass, field, replace

from ..data.augment import Augmentation
from ..data.dataset import Dataset
from .architecture import Architecture, Build, describe


@dataclass(frozen=True)
class Recipe:
    """How to train. ``optimizer``: ``"sgd"`` (momentum 0.9, Nesterov) or ``"adamw"``; ``lr`` is the
    peak of the one-cycle schedule. ``label_smoothing`` keeps the loss gradient of fitted samples
    from vanishing, on which SSD's Fisher importance depends (notebook 02 shows both).
    ``bfloat16``: matrix products in it (None: on CUDA alone). ``compiled``: through ``torch.compile``."""

    epochs: int = 12
    lr: float = 0.1
    batch_size: int = 64
    weight_decay: float = 5e-4
    optimizer: str = "sgd"
    label_smoothing: float = 0.1
    augmentation: Augmentation = field(default_factory=Augmentation)
    bfloat16: bool | None = None
    compiled: bool = False

    def __post_init__(self):
        if self.epochs < 1 or self.batch_size < 2:
            raise ValueError(f"a recipe needs epochs >= 1 and batch_size >= 2, got {self}")
        if not (0 < self.lr < math.inf and 0 <= self.weight_decay < math.inf):
            raise ValueError(
                f"a recipe needs lr above 0 and weight_decay from 0 up, both finite, got lr={self.lr}, "
                f"weight_decay={self.weight_decay}"
            )
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing is a share from 0 to below 1, got {self.label_smoothing}")
        if self.optimizer not in ("sgd", "adamw"):
            raise ValueError(f"unknown optimizer {self.optimizer!r}; choose 'sgd' or 'adamw'")


FACES = Recipe(60, 0.05, 16)  # eight images a person: flips and shifts made it worse (Olivetti, measured)
OWN = Recipe(30, 3e-3, 64, 0.05, "adamw")  # a network of which nothing is known
BY_NETWORK = {
    "gru": Recipe(12, 1e-2, 64, 0.3, "adamw"),
    "transformer": Recipe(15, 3e-3, 64, 0.3, "adamw"),
    "conv1d": Recipe(8, 0.1, 64, 5e-4),
    "mlp": Recipe(30, 3e-3, 32, 0.05, "adamw"),
}


def default_recipe(data: Dataset, architecture: Build, epochs: int | None = None) -> Recipe:
    """A recipe that suits the data and the architecture; ``epochs`` overrides its length."""
    name = describe(architecture)["name"] if isinstance(architecture, Architecture) else None
    found = _for_images(data, architecture) if name in ("resnet18", "vit") else BY_NETWORK.get(name, OWN)
    return found if epochs is None else replace(found, epochs=epochs)


def _for_images(data: Dataset, architecture: Architecture) -> Recipe:
    tiny, is_vit = data.train_x.shape[-1] < 16, architecture.name == "vit"
    if data.name == "olivetti" and not is_vit:
        return FACES
    augmentation = Augmentation() if tiny else Augmentation(shift=4, flip=True)
    length = (25 if is_vit else 12) if tiny else 30
    if is_vit:
        lr = 1e-4 if architecture.size == "vit_b_16" else 3e-3 if tiny else 1e-3
        return Recipe(length, lr, 64, 0.5 if tiny else 0.05, "adamw", augmentation=augmentation)
    return Recipe(length, 0.1, 64, 5e-3 if tiny else 5e-4, augmentation=augmentation)
