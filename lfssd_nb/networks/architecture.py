"""The networks by name, and your own: an `Architecture` is data, `build` makes a freshly initialised model.

A registered network is a function in a file of its own, which ``networks/__init__`` imports; `recipes` says
how it is trained by default:

>>> @network("mlp", width=64)
... def mlp(data, width, size, pretrained): ...

Wherever an `Architecture` is taken, a function of your own is too: ``build(data)`` that returns a model.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from ..data.dataset import Dataset
from ..precision import evaluating
from ..system.named import check_call, check_free, unknown
from .seeds import training_seed


@dataclass(frozen=True)
class Network:
    """A registered network. ``build(data, width, size, pretrained)``; ``width``: its default;
    ``sizes``: the names that ``size`` may have."""

    build: Callable[[Dataset, int, str | None, bool], nn.Module]
    width: int
    sizes: tuple[str, ...]


NETWORKS: dict[str, Network] = {}


def network(name: str, width: int = 16, sizes: tuple[str, ...] = ()) -> Callable:
    """Registers ``build(data, width, size, pretrained)`` under a name."""

    def register(build: Callable) -> Callable:
        check_free(name, getattr(NETWORKS.get(name), "build", None), build, "network")
        NETWORKS[name] = Network(build, width, sizes)
        return build

    return register


@dataclass(frozen=True)
class Architecture:
    """``name``: one of `NETWORKS`. ``width``: channels of ResNet18's first stage (64 is the papers'), hidden
    units of the others (default: the network's own). ``size``: of a ViT, ``"micro"``, ``"tiny"``,
    ``"small"``, ``"vit_b_16"`` (None picks by image size)."""

    name: str = "resnet18"
    width: int | None = None
    size: str | None = None

    def __post_init__(self):
        if self.name not in NETWORKS:
            raise ValueError(
                f"{unknown('architecture', self.name, NETWORKS)}, or pass a function that builds your own "
                "network"
            )
        sizes = NETWORKS["vit"].sizes
        if self.size not in (None, *sizes):
            raise ValueError(unknown("ViT size", self.size, sizes))
        if self.width is None:
            object.__setattr__(self, "width", NETWORKS[self.name].width)
        if self.width < 1:
            raise ValueError(f"width must be at least 1, got {self.width}")


def check_images(data: Dataset, name: str) -> None:
    """Raises ``ValueError`` unless the samples are images float ``[N, C, H, W]``."""
    if data.train_x.dim() != 4 or not data.train_x.is_floating_point():
        kind = f"{data.train_x.dtype}{list(data.train_x.shape)}"
        raise ValueError(
            f"{name} takes images float [N, C, H, W]; the samples of {data.name!r} are {kind}: choose "
            f"{suggested(data).name} for them"
        )


def suggested(data: Dataset) -> Architecture:
    """The network that suits the samples: images, tokens, series, anything else."""
    x = data.train_x
    if not x.is_floating_point():
        return Architecture("gru" if x.dim() == 2 else "mlp")
    return Architecture({4: "resnet18", 3: "conv1d"}.get(x.dim(), "mlp"))


Build = Architecture | Callable[[Dataset], nn.Module]


def build(architecture: Build, data: Dataset, seed: int = 0, pretrained: bool = True) -> nn.Module:
    """A model for the data's samples and classes, on the data's device.

    ``seed`` fixes the initial weights (drawn on the CPU, so that they are the same everywhere);
    the global random state is left as it was. ``pretrained``: as for `vit.vit`.

    Raises ``ValueError`` for what builds no ``nn.Module``, or one whose outputs are not logits
    ``[N, n_classes]`` for the data's samples.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(training_seed(seed))
        if isinstance(architecture, Architecture):
            made = NETWORKS[architecture.name]
            model = made.build(data, architecture.width, architecture.size, pretrained)
        else:
            model = _own(architecture, data)
            _check_logits(model, data, describe(architecture)["name"])  # lazy layers are drawn here
    return model.to(data.device)


def _own(function: Callable, data: Dataset) -> nn.Module:
    if isinstance(function, nn.Module) or not callable(function):
        raise ValueError(
            f"an architecture is an Architecture or a function that builds a network, got {function!r}: gold "
            "models need fresh ones, so pass lambda data: MyNetwork(...)"
        )
    check_call(function, f"{function!r}, to build a network from a Dataset,", data)
    model = function(data)
    if not isinstance(model, nn.Module):
        raise ValueError(f"{function!r} must return an nn.Module, got {type(model).__name__}")
    return model


def _check_logits(model: nn.Module, data: Dataset, name: str) -> None:
    n = min(2, len(data.train_x))
    with torch.no_grad(), evaluating(model):
        z = model(data.train_x[:n].cpu())
    if not isinstance(z, Tensor):
        raise ValueError(
            f"{name} returns a {type(z).__name__}: logits alone, a tensor [N, n_classes], are needed"
        )
    if tuple(z.shape) != (n, len(data.classes)):
        raise ValueError(
            f"{name} gives outputs {list(z.shape)} for {n} samples of {data.name!r}: logits "
            f"[{n}, {len(data.classes)}], one for each class, are needed"
        )


def describe(architecture: Build) -> dict:
    """``name``, ``width`` and ``size`` for tables; of a function of your own its name alone."""
    if isinstance(architecture, Architecture):
        return asdict(architecture)
    name = getattr(architecture, "__name__", type(architecture).__name__)
    return dict(name=name.strip("<>"), width=None, size=None)
