"""Taking an unlearned network apart: which part of the change does the forgetting?

`graft` puts some of its parameters into the original; `refresh_norm_statistics` lets batch norm count
again. Dampening leaves the running statistics as they were, and batch norm divides by them: with fresh
ones, a channel whose incoming weights were all scaled by one factor comes out as before.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..networks.forward import check_inputs
from ..parameters import copy_of


def norm_parameters(model: nn.Module) -> set[str]:
    """Names of the batch norm weights and biases."""
    layers = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, _BatchNorm)]
    return {f"{name}.{key}" for name, layer in layers for key, _ in layer.named_parameters(recurse=False)}


@torch.no_grad()
def graft(original: nn.Module, changed: nn.Module, names: Iterable[str] | Callable[[str], bool]) -> nn.Module:
    """A copy of ``original`` with those parameters of ``changed`` that are named, or for which
    ``names(name)`` is true. Buffers stay the original's.

    Raises ``ValueError`` for a name that is no parameter, and for models of different shapes.
    """
    result, source = copy_of(original), dict(changed.named_parameters())
    target = dict(result.named_parameters())
    chosen = [name for name in target if names(name)] if callable(names) else list(names)
    for name in chosen:
        if name not in target or name not in source or target[name].shape != source[name].shape:
            raise ValueError(f"cannot graft {name!r}: it is no parameter of the same shape in both models")
        target[name].copy_(source[name])
    return result


@torch.no_grad()
def refresh_norm_statistics(model: nn.Module, x: Tensor) -> nn.Module:
    """A copy, in eval mode, whose batch norm statistics are those of x ``[N, ...]`` as one batch.

    No parameter moves; dropout stays off. Raises ``ValueError`` for fewer than two samples or a model
    without running statistics.
    """
    check_inputs("x", x)
    result = copy_of(model).eval()
    norms = [m for m in result.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if len(x) < 2 or not norms:
        raise ValueError(f"statistics need two samples and a batch norm; got {len(x)} and {len(norms)}")
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    result(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return result.eval()
