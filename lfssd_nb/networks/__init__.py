"""Networks of any kind, trained: by name or your own, cached, resumed, retrained as gold models."""

from . import (  # isort: skip  the registered networks, in the order of the registry
    resnet, vit, gru, transformer, conv1d, mlp,  # noqa: F401
)  # fmt: skip
from . import checkpoints, gold, training
from .architecture import NETWORKS, Architecture, build, network
from .forward import logits
from .gold import retrained
from .recipes import Recipe, default_recipe
from .training import fit, trained

__all__ = [
    "NETWORKS", "Architecture", "Recipe", "build", "checkpoints", "default_recipe", "fit", "gold", "logits",
    "network", "retrained", "trained", "training",
]  # fmt: skip
