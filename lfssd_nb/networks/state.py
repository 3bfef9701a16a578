"""The tensors of a file as the state of a network: all of them or none."""

from pathlib import Path

import torch
from torch import Tensor, nn

from ..system import files
from .forward import not_finite


def check(wanted: dict[str, Tensor], tensors: dict[str, Tensor], path: Path, what: str = "network") -> None:
    """Raises `files.CorruptFile` unless ``tensors`` has the names and shapes of ``wanted``, and numbers of
    the same kind."""
    for name in [*wanted, *tensors]:
        there = [_kind(each[name]) if name in each else "missing" for each in (wanted, tensors)]
        if there[0] != there[1]:
            raise files.CorruptFile(
                f"{path} does not hold this {what}: {name} is {there[0]} in the network and {there[1]} in "
                "the file; save it with the architecture that it has, or delete it and make it again"
            )


def _kind(t: Tensor) -> str:
    kind = "" if t.is_floating_point() else " of complex numbers" if t.is_complex() else " of whole numbers"
    return f"{tuple(t.shape)}{kind}"


def load(model: nn.Module, tensors: dict[str, Tensor], path: Path, what: str = "network") -> None:
    """``model.load_state_dict``, in the model's own types. Raises `files.CorruptFile`, and nothing changes,
    if names or shapes differ, or where the file has NaN or infinite numbers and the model has none."""
    wanted = model.state_dict()
    check(wanted, tensors, path, what)
    masks = not_finite(model)  # buffers may hold -inf on purpose
    for name, value in tensors.items():
        if name not in masks and not torch.isfinite(value).all():
            raise files.CorruptFile(
                f"{path}: {name} has NaN or infinite numbers; delete it and make it again"
            )
    model.load_state_dict({name: value.to(wanted[name].dtype) for name, value in tensors.items()})
