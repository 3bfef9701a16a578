"""Which parameters an importance is about, and dampening may change: all trainable ones, or some."""

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .precision import evaluating

Filter = str | Iterable[str] | Callable[[str], bool]


def chosen(model: nn.Module, parameters: Filter | None = None) -> dict[str, nn.Parameter]:
    """The trainable parameters by name, in the model's order; of these, those that ``parameters`` names.

    parameters: a name or shell-style pattern (``"fc.*"``, ``"*lora_*"``), several of them, or a predicate
    on the name; None takes all. A parameter with two names (tied weights) is known by its first, as in
    ``model.named_parameters()``.

    Raises ``ValueError`` if nothing is trainable, if a pattern matches no trainable parameter (it names
    the pattern and some of the names), and if a predicate accepts none.
    """
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not trainable:
        raise ValueError(
            "the model has no trainable parameter: set requires_grad=True on what may be dampened"
        )
    if parameters is None:
        return trainable
    some = ", ".join(list(trainable)[:: max(1, len(trainable) // 5)][:6])
    if callable(parameters):
        found = {name for name in trainable if parameters(name)}
        if not found:
            raise ValueError(f"the predicate accepts none of the {len(trainable)} parameters ({some}, ...)")
    else:
        patterns = [parameters] if isinstance(parameters, str) else list(parameters)
        found = set()
        for pattern in patterns:
            matches = {name for name in trainable if fnmatchcase(name, pattern)}
            if not matches:
                raise ValueError(
                    f"the pattern {pattern!r} matches none of the {len(trainable)} trainable parameters; "
                    f"some of their names: {some}"
                )
            found |= matches
        if not patterns:
            raise ValueError(f"the list of patterns is empty; None takes all parameters, some are: {some}")
    return {name: p for name, p in trainable.items() if name in found}


@contextmanager
def only(model: nn.Module, parameters: Filter | None = None) -> Iterator[dict[str, nn.Parameter]]:
    """Freezes all but `chosen` for the length of a ``with`` block: a backward pass then ends at the first
    layer that is left, and the layers before it keep no activations."""
    kept = chosen(model, parameters)
    frozen = [p for name, p in model.named_parameters() if p.requires_grad and name not in kept]
    try:
        for p in frozen:
            p.requires_grad_(False)
        yield kept
    finally:
        for p in frozen:
            p.requires_grad_(True)


def copy_of(model: nn.Module) -> nn.Module:
    """A deep copy, also of a model whose layers hold a tensor with a history (the weight that the old
    ``weight_norm`` composes in every forward pass): of that the copy has the values."""
    held = (t for module in model.modules() for t in vars(module).values() if isinstance(t, Tensor))
    memo = {id(t): t.detach().clone() for t in held if not t.is_leaf}
    return copy.deepcopy(model, memo)


def call_with(model: nn.Module, theta: dict[str, Tensor], *args, **kwargs):
    """``model(*args, **kwargs)`` with some parameters (by their names in ``model.named_parameters()``)
    replaced.

    As ``torch.func.functional_call``, which leaves a model with a module in two places (CoaT, ALBERT) without
    its parameters: it puts the replacement back at the second place. Here every place is named once.
    """
    by_id = {id(p): theta[name] for name, p in model.named_parameters() if name in theta}
    places: dict[str, Tensor] = {}
    for prefix, module in model.named_modules():  # each module once
        for name, p in module._parameters.items():
            if id(p) in by_id:
                places[f"{prefix}.{name}".lstrip(".")] = by_id[id(p)]
    return functional_call(model, places, args, kwargs, tie_weights=False)


@torch.no_grad()
def last_linear(model: nn.Module, x: Tensor) -> nn.Linear:
    """The linear layer that makes the logits: the last that is called on inputs ``x`` ``[N, ...]``. Raises
    ``ValueError`` if there is none."""
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    if len(layers) == 1:
        return layers[0]
    found: list[nn.Linear] = []
    hooks = [layer.register_forward_hook(lambda layer, *_: found.append(layer)) for layer in layers]
    try:
        with evaluating(model):
            model(x[:1])
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no nn.Linear layer: a model with a linear head is needed"
        )
    return found[-1]


def place(parameter: str) -> tuple[str, str]:
    """(layer, kind of parameter) of a parameter's name, for ResNet18 and torchvision's ViT."""
    name, _, last = parameter.rpartition(".")
    if "encoder_layer_" in name:
        block, _, inside = name.partition("encoder_layer_")[2].partition(".")
        kind = {"ln_1": "norm", "ln_2": "norm", "mlp.0": "MLP in", "mlp.3": "MLP out"}.get(inside, inside)
        kind = {"self_attention": "q, k, v", "self_attention.out_proj": "attention out"}.get(kind, kind)
        return f"block {int(block) + 1}", f"{kind} {last.removeprefix('in_proj_')}"
    if name.startswith("layer"):
        stage = f"stage {name[5]}"
        inside = name.split(".", 2)[2]
        norm = inside.startswith("bn") or inside == "shortcut.1"
        return stage, f"{'norm' if norm else 'shortcut' if inside.startswith('shortcut') else 'conv'} {last}"
    if name in ("fc", "linear", "heads.head"):
        return "head", f"linear {last}"
    if last in ("class_token", "pos_embedding"):
        return "stem", last.replace("_", " ")
    norm = name in ("bn1", "encoder.ln")
    return ("last norm" if name == "encoder.ln" else "stem"), f"{'norm' if norm else 'conv'} {last}"
