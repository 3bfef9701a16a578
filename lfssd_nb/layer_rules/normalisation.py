r"""Batch, layer, group, instance and RMS norm: :math:`\hat a w + v` with what is normalised, :math:`\hat a`.

The gradient of sample n is :math:`\sum_l b_{nl} \hat a_{nl}` for the weight and :math:`\sum_l b_{nl}` for the
bias. Batch norm is taken with its running statistics: only then does a sample have a gradient of its own.
"""

import torch
from torch import Tensor

from ..precision import wide
from .reduction import Each


def _affine(use, normed, weight, bias):
    """Gradients of a weight and a bias for each channel (dimension 1)."""

    def gradients(b: Tensor):
        def over(g: Tensor) -> Each:
            g = g.movedim(1 + use.merged, 1)
            return Each(g.flatten(2).sum(2) if g.ndim > 2 else g)

        yield weight, lambda: over(normed() * b)
        yield bias, lambda: over(b)

    return gradients


def batch_norm(use, func, input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn):
    if not use.sampled(input) or training or running_mean is None or use.dim != 0:
        return NotImplemented  # of one batch's statistics: it mixes the samples
    a, shape = use.keep(input), (-1, *(1,) * (input.ndim - 2))

    def normed() -> Tensor:
        scale = (wide(running_var) + eps).rsqrt()
        return (a() - wide(running_mean).view(shape)).mul_(scale.view(shape))

    out = func(
        input, use.plain(weight), use.plain(bias), running_mean, running_var, False, momentum, eps, cudnn
    )
    return use.result(out, _affine(use, normed, weight, bias))


def group_norm(use, func, input, num_groups, weight=None, bias=None, eps=1e-5, cudnn=True):
    if not use.sampled(input) or use.dim != 0:
        return NotImplemented
    a = use.keep(input, split=False)

    def normed() -> Tensor:
        return use.split(torch.group_norm(a(), num_groups, None, None, eps))

    out = func(input, num_groups, use.plain(weight), use.plain(bias), eps, cudnn)
    return use.result(out, _affine(use, normed, weight, bias))


def instance_norm(use, func, input, weight, bias, mean, var, use_input_stats, momentum, eps, cudnn):
    if not use.sampled(input) or use.dim != 0:
        return NotImplemented
    a = use.keep(input, split=False)

    def normed() -> Tensor:
        return use.split(func(a(), None, None, mean, var, use_input_stats, momentum, eps, cudnn))

    out = func(input, use.plain(weight), use.plain(bias), mean, var, use_input_stats, momentum, eps, cudnn)
    return use.result(out, _affine(use, normed, weight, bias))


def _over_features(use, func, input, shape, weight, bias, rest, normalise):
    if not use.sampled(input) or use.dim >= input.ndim - len(shape):
        return NotImplemented
    a = use.keep(input)

    def gradients(b: Tensor):
        positions = tuple(range(1, b.ndim - len(shape)))
        yield weight, lambda: Each((b * normalise(a())).sum(positions) if positions else b * normalise(a()))
        yield bias, lambda: Each(b.sum(positions) if positions else b)

    affine = (use.plain(weight),) if func is torch.rms_norm else (use.plain(weight), use.plain(bias))
    return use.result(func(input, shape, *affine, *rest), gradients)


def layer_norm(use, func, input, normalized_shape, weight=None, bias=None, eps=1e-5, cudnn=True):
    def normalise(a: Tensor) -> Tensor:
        return torch.layer_norm(a, normalized_shape, None, None, eps)

    return _over_features(use, func, input, normalized_shape, weight, bias, (eps, cudnn), normalise)


def rms_norm(use, func, input, normalized_shape, weight=None, eps=None):
    small = torch.finfo(input.dtype).eps if eps is None else eps

    def normalise(a: Tensor) -> Tensor:
        return torch.rms_norm(a, normalized_shape, None, small)

    return _over_features(use, func, input, normalized_shape, weight, None, (eps,), normalise)


RULES = {
    torch.batch_norm: batch_norm, torch.group_norm: group_norm, torch.instance_norm: instance_norm,
    torch.layer_norm: layer_norm, torch.rms_norm: rms_norm,
}  # fmt: skip
