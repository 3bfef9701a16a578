"""What must hold before a gradient of a single sample means anything; each is tried out, on a few samples.

In eval mode the same inputs give the same logits, whoever else is in the batch, and a forward pass changes
neither buffers nor parameters. Otherwise per-sample importance is undefined, and refused with the layer's
name.
"""

import contextlib
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..batches import Batch
from .guard import Guard

INSTEAD = "per-sample importance is undefined; use reduction='batch'"


def has_batch_norm(model: nn.Module) -> bool:
    """For a single row on a CPU PyTorch's batch norm has wrong gradients (of a transposed output): such
    models are given two."""
    return any(isinstance(layer, _BatchNorm) for layer in model.modules())


def check_layers(model: nn.Module) -> None:
    """Raises ``ValueError`` for layers that are known to mix samples or to change when they are used."""
    for name, layer in model.named_modules():
        if isinstance(layer, _BatchNorm) and (layer.running_mean is None or layer.training):
            why = (
                "without running statistics" if layer.running_mean is None else "that stays in training mode"
            )
            raise ValueError(
                f"layer {name!r} is batch norm {why}: it mixes the samples of a batch, so {INSTEAD}"
            )
        if getattr(layer, "max_norm", None) is not None and isinstance(layer, nn.Embedding | nn.EmbeddingBag):
            raise ValueError(
                f"layer {name!r} has max_norm={layer.max_norm}: it changes its own weights whenever it is "
                "used. Apply the limit once and set max_norm=None"
            )
        if getattr(layer, "scale_grad_by_freq", False):
            raise ValueError(
                f"layer {name!r} has scale_grad_by_freq=True: a sample's gradient depends on the words of "
                "the others; set it to False"
            )


def check_parameters(parameters: dict[str, Tensor]) -> None:
    for name, p in parameters.items():
        if isinstance(p, nn.parameter.UninitializedTensorMixin):
            raise ValueError(f"parameter {name!r} has no shape yet: run the model on a batch first")
        if p.is_meta:
            raise ValueError(
                f"parameter {name!r} is on the meta device and has no values: load the model first"
            )
        if p.is_complex():
            raise ValueError(f"parameter {name!r} is complex; leave it out with parameters=")
        if p.is_inference():
            raise ValueError(
                f"parameter {name!r} was made in inference mode and cannot be differentiated: build or load "
                "the model outside torch.inference_mode()"
            )


@torch.no_grad()
def check_samples(
    model: nn.Module, logits: Callable[[Batch], Tensor], first: Batch, few: Batch, guard: Guard, close: float
) -> Tensor:
    """The logits of ``few``, samples of the batch ``first``. Raises ``ValueError`` unless they are a function
    of each sample alone.

    close: relative to the largest logit, what counts as equal.
    """
    versions = [p._version for p in model.parameters()]
    with torch.random.fork_rng(devices=_devices(few)):
        torch.manual_seed(0)
        try:
            found = logits(few)
        except Exception as error:
            logits(first)  # what it raises is the model's own
            raise ValueError(
                f"the model takes the batch of {len(first)}, but not {len(few)} of its rows: logits need the "
                "samples in dimension 0 of every tensor. Stack single images to [N, ...]"
            ) from error
        n = len(few)
        if len(found) != n:
            raise ValueError(
                f"the model gives {list(found.shape)} for {n} samples: logits need the samples in dimension "
                "0. Stack single images to [N, ...]; give forward= a function that returns [N, K] otherwise"
            )
        if changed := guard.changed_buffers():
            raise ValueError(
                f"a forward pass in eval mode changes the buffer {changed[0]!r}: the result depends on what "
                f"came before, so {INSTEAD}, or a layer that obeys eval()"
            )
        if versions != [p._version for p in model.parameters()]:
            raise ValueError(f"a forward pass changes the model's parameters themselves, so {INSTEAD}")
        again = logits(few)
        if not _same(found, again, close):
            where = _first_difference(model, lambda: logits(few), lambda: logits(few), n, slice(None))
            raise ValueError(
                f"{where} is random in eval mode: the same inputs give other logits each time. Make dropout "
                "obey eval(), F.dropout(x, p, training=self.training)"
            )
        for k in range(min(n, 2)):
            alone = few.rows(slice(k, k + 1)).twice()
            if not _same(found[k : k + 1], logits(alone)[:1], close):
                pair = (lambda: logits(few)), (lambda alone=alone: logits(alone))
                where = _first_difference(model, *pair, n, k)
                raise ValueError(
                    f"{where} mixes the samples of a batch: the logits of one depend on which others are "
                    f"there, so {INSTEAD}"
                )
    return found


@torch.no_grad()
def check_larger(model: nn.Module, logits: Callable, batch: Batch, found: Tensor, close: float) -> None:
    """Raises ``ValueError`` if two rows of a batch that is larger than a plan's, of its middle and its end,
    have other logits ``found`` than by themselves."""
    at = [len(batch) // 2, len(batch) - 1]
    pair = batch.rows(at)
    if not _same(found[at], logits(pair), close):
        where = _first_difference(model, lambda: logits(batch), lambda: logits(pair), len(batch), at)
        raise ValueError(
            f"{where} mixes the samples of a batch of {len(batch)}: the logits of one depend on which others "
            f"are there, so {INSTEAD}"
        )


def check_unchanged(guard: Guard, versions: dict[str, int]) -> None:
    """Raises ``ValueError`` if buffers or parameters are not what they were before the batches."""
    if changed := guard.changed_buffers():
        raise ValueError(f"a forward pass changes the buffer {changed[0]!r} for some samples, so {INSTEAD}")
    for name, p in guard.model.named_parameters():
        if p._version != versions[name]:
            raise ValueError(
                f"a forward pass changes the parameter {name!r} for some samples, so {INSTEAD}; it "
                "has other values now"
            )


def _same(a: Tensor, b: Tensor, close: float) -> bool:
    if a.shape != b.shape:
        return False
    a, b = a.float(), b.float()
    finite = bool(torch.isfinite(a).all()), bool(torch.isfinite(b).all())
    if not all(finite):
        return not any(finite)  # where both are not, that is said elsewhere, with the parameter's name
    return float((a - b).abs().max()) <= close * float(a.abs().max())


def _devices(few: Batch) -> list:
    from torch.utils._pytree import tree_flatten

    return sorted(
        {t.device.index for t in tree_flatten(few.inputs)[0] if isinstance(t, Tensor) and t.is_cuda}
    )


def _first_difference(model: nn.Module, one: Callable, other: Callable, n: int, which) -> str:
    """The innermost layer that gets the same and returns something else."""
    seen = [_trace(model, run) for run in (one, other)]
    for (name, took, gave), (_, took_2, gave_2) in zip(*seen, strict=False):
        pairs = [(took, took_2), (gave, gave_2)]
        if any(a is None or b is None or not len(a) or len(a) != n for (a, b) in pairs):
            continue
        rows = slice(which, which + 1) if isinstance(which, int) else which
        same_in, same_out = (_same(a[rows], b[: len(a[rows])], 1e-4) for a, b in pairs)
        if same_in and not same_out:
            return f"layer {name!r}" if name else "the model's forward()"
    return "the model's forward()"


def _trace(model: nn.Module, run: Callable) -> list:
    seen = []

    def first(values):
        found = [v for v in values if isinstance(v, Tensor) and v.is_floating_point() and v.ndim]
        return found[0] if found else None

    with contextlib.ExitStack() as stack:
        for name, layer in model.named_modules():

            def note(_, args, out, name=name):
                seen.append((name, first(args), first(out if isinstance(out, tuple) else (out,))))

            stack.callback(layer.register_forward_hook(note).remove)
        run()
    return seen
