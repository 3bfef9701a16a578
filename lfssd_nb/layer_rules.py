r"""Per-sample gradients of one layer, from what went in and the gradient of what came out.

A layer that sees activations :math:`a` and receives the output gradient :math:`b` knows the
gradient of its parameters for *every* sample of the batch; ordinary autograd adds them up over the
batch before anyone can take an absolute value. Each rule below keeps the samples apart and hands
them to a :class:`Reduction`, which adds up :math:`|g_n|`, :math:`g_n^2` or :math:`g_n` over samples
:math:`n` while holding no more than ``budget`` gradient elements (or those of one sample).

=============  =========================================================  ==================
layer          gradient of sample n                                       cost
=============  =========================================================  ==================
Linear         :math:`\sum_l b_{nl} a_{nl}^T` over positions l            one small matmul
Conv2d         the same over output positions, a = unfolded patches       one small matmul
BatchNorm      :math:`\sum_l b_{nl} \hat a_{nl}` and :math:`\sum_l b_{nl}`     elementwise
LayerNorm      the same, :math:`\hat a` normalised over features          elementwise
attention      two Linear layers around a re-computed attention           one more forward
=============  =========================================================  ==================

Where a layer sees one position per sample the gradient :math:`b_n a_n^T` has rank one, so
:math:`\sum_n |b_n a_n^T| = |B|^T |A|` and :math:`\sum_n (b_n a_n^T)^2 = (B^2)^T A^2`: one matrix
product for the whole batch and no per-sample gradient at all.

Batch norm is taken in eval mode (running statistics): only then does a sample have a gradient of
its own. Inputs and output gradients come in float32 or finer (`PerSample` sees to it), so that a
bfloat16 model's per-sample gradients are neither rounded nor squared in bfloat16.

Source of the layer formulas: Goodfellow 2015 (1510.01799), Dangel et al. 2020 (1912.10985).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from .precision import wide


@dataclass(frozen=True)
class Reduction:
    """How per-sample gradients are added up: ``"abs"``, ``"square"`` or ``"signed"`` (plain sum).

    ``budget`` bounds the elements of a temporary that holds per-sample gradients (4 times as many for
    unfolded patches); inputs and output gradients are bounded by the batch. About 2^18 (1 MB of
    float32) keeps the temporary inside a CPU's cache; a GPU likes it larger.
    """

    kind: str
    budget: int = 2**18

    def each(self, g: Tensor) -> Tensor:
        """|g|, g^2 or g, element by element."""
        return g.abs() if self.kind == "abs" else g.square() if self.kind == "square" else g

    def samples(self, g: Tensor) -> Tensor:
        """Adds up per-sample gradients ``[N, *shape]`` to ``[*shape]``, in float32 or finer."""
        return self.each(wide(g)).sum(0)

    def outer(self, b: Tensor, a: Tensor) -> Tensor:
        """Adds up :math:`g_n = b_n a_n^T`; b ``[N, O, L]``, a ``[N, K, L]``, result ``[O, K]``."""
        if b.shape[2] == 1:
            return self.each(b[:, :, 0]).T @ self.each(a[:, :, 0])
        if self.kind == "signed":
            return torch.einsum("nol,nkl->ok", b, a)
        chunk = max(1, self.budget // (b.shape[1] * a.shape[1]))
        total = b.new_zeros(b.shape[1], a.shape[1])
        for b_part, a_part in zip(b.split(chunk), a.split(chunk), strict=True):
            g = torch.bmm(b_part, a_part.mT)
            total += (g.abs_() if self.kind == "abs" else g.square_()).sum(0)
        return total


Rule = Callable[[nn.Module, Tensor, Tensor, Reduction], Iterator[tuple[str, Tensor]]]


def _linear_sums(a: Tensor, b: Tensor, reduce: Reduction) -> tuple[Tensor, Tensor]:
    """Weight and bias sums of a linear map; a ``[N, ..., K]``, b ``[N, ..., O]``."""
    a, b = a.flatten(1, -2) if a.ndim > 2 else a[:, None], b.flatten(1, -2) if b.ndim > 2 else b[:, None]
    return reduce.outer(b.mT, a.mT), reduce.samples(b.sum(1))


def linear(layer: nn.Linear, a: Tensor, b: Tensor, reduce: Reduction):
    weight, bias = _linear_sums(a, b, reduce)
    yield "weight", weight
    yield "bias", bias


def conv2d(layer: nn.Conv2d, a: Tensor, b: Tensor, reduce: Reduction):
    # _reversed_padding_repeated_twice already resolves padding='same' and 'circular'.
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    a = F.pad(a, layer._reversed_padding_repeated_twice, mode=mode)
    out, groups = layer.out_channels, layer.groups
    kernel = layer.kernel_size
    b = b.reshape(len(a), groups, out // groups, -1)
    positions = a.shape[1] // groups * kernel[0] * kernel[1] * b.shape[-1]
    chunk = max(1, 4 * reduce.budget // positions)
    weight = [0.0] * groups
    for a_part, b_part in zip(a.split(chunk), b.split(chunk), strict=True):
        for group, a_group in enumerate(a_part.chunk(groups, dim=1)):
            patches = _patches(a_group, kernel, layer.stride, layer.dilation)
            weight[group] = weight[group] + reduce.outer(b_part[:, group], patches)
    yield "weight", torch.cat(weight).view_as(layer.weight)
    yield "bias", reduce.samples(b.flatten(1, 2).sum(2))


def _patches(a: Tensor, kernel, stride, dilation) -> Tensor:
    """Unfolds a padded ``[N, C, H, W]`` to ``[N, C * kh * kw, positions]``."""
    if kernel == (1, 1):
        return a[:, :, :: stride[0], :: stride[1]].flatten(2)
    return F.unfold(a, kernel, dilation=dilation, stride=stride)


def batch_norm(layer, a: Tensor, b: Tensor, reduce: Reduction):
    shape = (1, -1) + (1,) * (a.ndim - 2)
    scale = (wide(layer.running_var) + layer.eps).rsqrt()
    normed = (a - wide(layer.running_mean).view(shape)).mul_(scale.view(shape))
    yield "weight", reduce.samples((normed * b).flatten(2).sum(2) if a.ndim > 2 else normed * b)
    yield "bias", reduce.samples(b.flatten(2).sum(2) if a.ndim > 2 else b)


def layer_norm(layer: nn.LayerNorm, a: Tensor, b: Tensor, reduce: Reduction):
    normed = F.layer_norm(a, layer.normalized_shape, eps=layer.eps)
    positions = tuple(range(1, a.ndim - len(layer.normalized_shape)))
    for name, g in (("weight", normed * b), ("bias", b)):
        yield name, reduce.samples(g.sum(positions) if positions else g)


def attention(layer: nn.MultiheadAttention, x: Tensor, b: Tensor, reduce: Reduction):
    """Self-attention on ``x`` [N, L, E]: one linear map into q, k, v and one out of the heads."""
    n, length, width = x.shape
    bias = None if layer.in_proj_bias is None else wide(layer.in_proj_bias)
    with torch.enable_grad():
        qkv = F.linear(x, wide(layer.in_proj_weight), bias).detach().requires_grad_()
        heads = qkv.view(n, length, 3, layer.num_heads, layer.head_dim).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*heads).transpose(1, 2).reshape(n, length, width)
    (b_qkv,) = torch.autograd.grad(mixed, qkv, b @ wide(layer.out_proj.weight))
    for name, a_in, b_out in (("in_proj_", x, b_qkv), ("out_proj.", mixed.detach(), b)):
        weight, bias = _linear_sums(a_in, b_out, reduce)
        yield name + "weight", weight
        yield name + "bias", bias


RULES: dict[type, Rule] = {
    nn.Linear: linear,
    NonDynamicallyQuantizableLinear: linear,
    nn.Conv2d: conv2d,
    nn.BatchNorm1d: batch_norm,
    nn.BatchNorm2d: batch_norm,
    nn.BatchNorm3d: batch_norm,
    nn.LayerNorm: layer_norm,
    nn.MultiheadAttention: attention,
}
