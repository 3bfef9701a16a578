"""Eval mode, and full float32 precision, for the length of a ``with`` block; sums in no less."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Puts every module in eval mode and afterwards back in the mode that each was in."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


@contextmanager
def full_precision() -> Iterator[None]:
    """Switches off TF32 convolutions, cuDNN's default on recent GPUs: they keep 10 bits of 23."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Eval mode and full precision, whatever the caller is in the middle of: autocast does not reach
    inside."""
    kinds = {p.device.type for p in model.parameters()} | {"cpu"}
    with ExitStack() as stack:
        for kind in kinds - {"meta"}:
            stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(evaluating(model))
        stack.enter_context(full_precision())
        yield


@contextmanager
def differentiating(model: nn.Module) -> Iterator[None]:
    """Gradients in eval mode and full precision, whatever the caller is in the middle of: ``no_grad``,
    inference mode and autocast do not reach inside. cuDNN's recurrent layers have no backward pass in eval
    mode: for a model with such layers PyTorch's own kernels take the place of cuDNN's. Attention goes the
    ordinary way: its fast path knows no gradients."""
    cudnn, fast = torch.backends.cudnn.enabled, torch.backends.mha.get_fastpath_enabled()
    recurrent = any(isinstance(module, nn.RNNBase) for module in model.modules())
    torch.backends.cudnn.enabled = cudnn and not recurrent
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.inference_mode(False), undisturbed(model), torch.enable_grad():
            yield
    finally:
        torch.backends.cudnn.enabled = cudnn
        torch.backends.mha.set_fastpath_enabled(fast)


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """float32 for bfloat16 and float16, else the type itself."""
    return torch.promote_types(dtype, torch.float32)


def wide(t: Tensor) -> Tensor:
    """``t`` in float32 or finer; ``t`` itself if it is already."""
    return t.to(at_least_float32(t.dtype))
