r"""Matrices: ``nn.Linear``, ``x @ W``, ``W @ x``, ``addmm`` (Hugging Face's Conv1D), ``einsum`` of two.

The gradient of sample n is :math:`\sum_l b_{nl} a_{nl}^T` over its positions l.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .reduction import Each, Outer


def columns(t: Tensor) -> Tensor:
    """``[N, ..., K]`` to ``[N, K, L]``: positions last."""
    return t[..., None] if t.ndim == 2 else t.flatten(1, -2).mT


def linear(use, func, input, weight, bias=None):
    if not use.sampled(input) or use.dim >= input.ndim - 1:
        return NotImplemented
    a = use.keep(input)

    def gradients(b: Tensor):
        yield weight, lambda: Outer(columns(b), columns(a()), weight.shape)
        yield bias, lambda: summed(b)

    return use.result(F.linear(input, use.plain(weight), use.plain(bias)), gradients)


def summed(b: Tensor) -> Each:
    """The gradient of a bias: b ``[N, ..., O]`` added up over positions."""
    return Each(b) if b.ndim == 2 else Each(b.flatten(1, -2).sum(1), b.flatten(1, -2).abs().sum(1))


def matmul(use, func, input, other, *, out=None):
    left, right = use.sampled(input), use.sampled(other)
    if out is not None or left == right or input.ndim < 2:
        return NotImplemented
    if left:
        if other.ndim > 2 or use.dim >= input.ndim - 1:
            return NotImplemented
        a = use.keep(input)
        vector = other.ndim == 1

        def gradients(b: Tensor):
            b = b[..., None] if vector else b
            yield other, lambda: Outer(columns(b), columns(a()), other.shape, swap=True)
    else:
        if input.ndim != 2 or other.ndim < 3 or use.dim >= other.ndim - 2:
            return NotImplemented
        a = use.keep(other)

        def gradients(b: Tensor):  # [N, ..., O, M] and [N, ..., K, M]: a position is a column
            b, x = (t.flatten(1, -3).movedim(1, -2).flatten(-2) if t.ndim > 3 else t for t in (b, a()))
            yield input, lambda: Outer(b, x, input.shape)

    return use.result(torch.matmul(use.plain(input), use.plain(other)), gradients)


def addmm(use, func, input, mat1, mat2, *, beta=1, alpha=1, out=None):
    plain = (beta, alpha, out) == (1, 1, None) and use.sampled(mat1) and not use.sampled(mat2)
    if not plain or use.sampled(input) or input.ndim > 1:
        return NotImplemented
    a = use.keep(mat1)

    def gradients(b: Tensor):
        yield mat2, lambda: Outer(columns(b), columns(a()), mat2.shape, swap=True)
        yield input, lambda: summed(b)

    return use.result(torch.addmm(use.plain(input), mat1, use.plain(mat2)), gradients)


def einsum(use, func, equation, *operands):
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = operands[0]
    equation = equation.replace(" ", "")
    terms, arrow, result = equation.partition("->")
    terms = terms.split(",")
    if (
        len(operands) != 2
        or not arrow
        or "." in equation
        or use.sampled(operands[0]) == use.sampled(operands[1])
    ):
        return NotImplemented
    at = 0 if use.sampled(operands[0]) else 1
    (x, x_is), (w, w_is) = (operands[at], terms[at]), (operands[1 - at], terms[1 - at])
    sample = result[use.dim] if use.dim < len(result) else ""
    once = all(len(set(each)) == len(each) for each in (x_is, w_is, result))
    if not once or sample not in x_is or sample in w_is or not set(w_is) <= set(x_is) | set(result):
        return NotImplemented
    a = use.keep(x, x_is.index(sample))

    def gradients(b: Tensor):  # the sample is in front, and positions that were merged with it behind it
        front = [
            (sample + ("Z" if t.ndim > len(s) else "") + s.replace(sample, ""))
            for t, s in ((b, result), (a(), x_is))
        ]
        yield w, lambda: Each(torch.einsum(f"{front[0]},{front[1]}->{sample}{w_is}", b, a()))

    plain = [use.plain(t) for t in operands]
    return use.result(torch.einsum(equation, *plain), gradients)


def bilinear(use, func, input1, input2, weight, bias=None):
    if not use.sampled(input1) or not use.sampled(input2):
        return NotImplemented
    one, two = use.keep(input1), use.keep(input2)

    def gradients(b: Tensor):
        b3, x1, x2 = (columns(t) for t in (b, one(), two()))
        yield weight, lambda: Each(torch.einsum("nol,nil,njl->noij", b3, x1, x2))
        yield bias, lambda: summed(b)

    return use.result(torch.bilinear(input1, input2, use.plain(weight), use.plain(bias)), gradients)


RULES = {
    F.linear: linear, torch.matmul: matmul, torch.mm: matmul, Tensor.matmul: matmul, Tensor.mm: matmul,
    Tensor.__matmul__: matmul, torch.addmm: addmm, torch.einsum: einsum, torch.bilinear: bilinear,
}  # fmt: skip
