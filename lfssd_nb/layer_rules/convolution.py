r"""Convolutions of one, two and three dimensions, grouped, depthwise and transposed.

With many channels the gradient is found tap by tap (`taps`). With few channels all taps together are one
matrix, and the input is unfolded to patches. Where groups are narrow both are mostly empty: then the gradient
of every sample and channel is a convolution of its own (input with output gradient), and all of them are one
convolution with N times as many groups.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .reduction import Each, Outer
from .taps import padded, taps

NARROW = 16  # input times output channels of a group, up to which groups are convolved
PIECE = 2**20  # entries of output gradients that are convolved at a time on a CPU
FEW = 8  # input channels of a group, below which patches are unfolded
CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def several(value, dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value) * (dims if len(value) == 1 else 1)


def padding_of(padding, kernel, dilation) -> list[int]:
    """As ``F.pad`` wants it: last dimension first, before and after."""
    dims = len(kernel)
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return [p for t in reversed(total) for p in (t // 2, t - t // 2)]
    padding = (0,) * dims if padding == "valid" else several(padding, dims)
    return [p for one in reversed(padding) for p in (one, one)]


def patches(a: Tensor, groups: int, kernel, stride, dilation) -> Tensor:
    """Padded inputs ``[N, P, C, *sizes]`` to ``[N, G, C / G * taps, P * positions]``."""
    n, merged, dims = len(a), a.shape[1], len(kernel)
    a = a.flatten(0, 1)
    if max(kernel) == 1:
        a = a[(slice(None), slice(None), *(slice(None, None, s) for s in stride))]
        a = a.flatten(2).unflatten(1, (groups, -1))
    elif dims == 2:
        a = F.unfold(a, kernel, dilation=dilation, stride=stride).unflatten(1, (groups, -1))
    else:
        for d, (k, s, gap) in enumerate(zip(kernel, stride, dilation, strict=True)):
            a = a.unfold(2 + d, gap * (k - 1) + 1, s)[..., ::gap]
        channels_taps = [1, *range(2 + dims, 2 + 2 * dims)]
        a = a.permute(0, *channels_taps, *range(2, 2 + dims))
        a = a.flatten(2 + dims).flatten(1, 1 + dims).unflatten(1, (groups, -1))
    return a if merged == 1 else a.unflatten(0, (n, merged)).movedim(1, -2).flatten(-2)


def convolved(a: Tensor, b: Tensor, weight: Tensor, groups: int, padding, stride, dilation) -> Tensor:
    """Gradients ``[N, *weight.shape]`` of narrow groups, from inputs ``[N, C, ...]`` that are not yet padded:
    a few samples at a time, since what is padded and repeated is larger than they are."""
    few = max(1, (PIECE if a.device.type == "cpu" else 64 * PIECE) // (b[0].numel() * weight.shape[1]))
    parts = zip(a.split(few), b.split(few), strict=True)
    each = [_convolved(padded(p, padding), q, weight, groups, stride, dilation) for p, q in parts]
    return torch.cat(each)


def _convolved(a: Tensor, b: Tensor, weight: Tensor, groups: int, stride, dilation) -> Tensor:
    n, kernel = len(a), weight.shape[2:]
    ins, outs = weight.shape[1], len(weight) // groups
    a = a.unflatten(1, (groups, 1, ins)).expand(-1, -1, outs, -1, *a.shape[2:])
    b = b.unflatten(1, (groups, outs, 1)).expand(-1, -1, -1, ins, *b.shape[2:])
    a, b = a.flatten(0, 3)[None], b.flatten(0, 3)[:, None]
    g = CONVOLVE[len(kernel)](a, b, stride=dilation, dilation=stride, groups=len(b))
    g = g[(slice(None), slice(None), *(slice(k) for k in kernel))]
    return g.reshape(n, *weight.shape)


def gradient(a: Tensor, b: Tensor, weight: Tensor, groups: int, padding, stride, dilation):
    """a ``[N, P, C, *sizes]`` not yet padded, b ``[N, P, O, *positions]``."""
    kernel, outs = tuple(weight.shape[2:]), len(weight) // groups
    if weight.shape[1] >= FEW:
        return taps(a, b, weight, groups, padding, stride, dilation)
    if groups > 1 and weight.shape[1] * outs <= NARROW:
        merged = zip(a.unbind(1), b.unbind(1), strict=True)
        return Each(sum(convolved(p, q, weight, groups, padding, stride, dilation) for p, q in merged))
    a = padded(a, padding)
    b = b.flatten(3).movedim(1, -2).flatten(-2) if b.shape[1] > 1 else b[:, 0].flatten(2)
    b = b.unflatten(1, (groups, outs))
    per_sample = weight[0].numel() * groups * b.shape[-1]

    def unfold(part: Tensor) -> Tensor:
        return patches(part, groups, kernel, stride, dilation)

    if groups == 1:
        return Outer(b[:, 0], a, weight.shape, lambda part: unfold(part)[:, 0], per_sample)
    return Outer(b, a, weight.shape, unfold, per_sample)


def channels(b: Tensor) -> Each:
    """The gradient of a bias: b ``[N, P, O, *positions]`` added up over positions."""
    b = b.movedim(2, 1).flatten(2)
    return Each(b.sum(2), b.abs().sum(2))


def convolution(use, func, input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    dims = weight.ndim - 2
    if not use.sampled(input) or input.ndim != weight.ndim or use.dim != 0:
        return NotImplemented
    a, step, gap = use.keep(input), several(stride, dims), several(dilation, dims)
    around = padding_of(padding, tuple(weight.shape[2:]), gap)

    def gradients(b: Tensor):
        b = use.apart(b, dims + 1)
        yield weight, lambda: gradient(use.apart(a(), dims + 1), b, weight, groups, around, step, gap)
        yield bias, lambda: channels(b)

    out = func(input, use.plain(weight), use.plain(bias), stride, padding, dilation, groups)
    return use.result(out, gradients)


def transposed(
    use, func, input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
):
    """The backward pass of a convolution: what comes in and what goes out change places."""
    dims = weight.ndim - 2
    if not use.sampled(input) or input.ndim != weight.ndim or use.dim != 0:
        return NotImplemented
    a, step, gap, kernel = use.keep(input), several(stride, dims), several(dilation, dims), weight.shape[2:]
    before = several(padding, dims)

    def gradients(b: Tensor):
        b, x = use.apart(b, dims + 1), use.apart(a(), dims + 1)
        need = [
            (s - 1) * t + g * (k - 1) + 1 for s, t, g, k in zip(x.shape[3:], step, gap, kernel, strict=True)
        ]
        after = [n - p - size for n, p, size in zip(need, before, b.shape[3:], strict=True)]
        around = [p for pair in zip(reversed(before), reversed(after), strict=True) for p in pair]
        yield weight, lambda: gradient(b, x, weight, groups, around, step, gap)
        yield bias, lambda: channels(b)

    out = func(input, use.plain(weight), use.plain(bias), stride, padding, output_padding, groups, dilation)
    return use.result(out, gradients)


RULES = dict.fromkeys((torch.conv1d, torch.conv2d, torch.conv3d), convolution) | dict.fromkeys(
    (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d), transposed
)
