"""Parameters that are only broadcast over the samples: added, multiplied, chosen, put beside them.

Positions, class tokens, layer scales, prompts, biases of attention. The parameter is spread out over the
batch first; autograd then gives every sample its own gradient of it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

NAMES = [
    "add", "sub", "subtract", "mul", "multiply", "div", "divide", "true_divide", "rsub", "pow", "float_power",
    "maximum", "minimum", "fmax", "fmin", "clamp", "clamp_min", "clamp_max", "where", "lerp", "addcmul",
    "addcdiv", "atan2", "arctan2", "hypot", "logaddexp", "logaddexp2", "xlogy", "copysign",
]  # fmt: skip
DUNDER = ["add", "radd", "iadd", "sub", "rsub", "isub", "mul", "rmul", "imul", "truediv", "rtruediv",
          "itruediv", "pow", "rpow", "ipow"]  # fmt: skip


def elementwise(use, func, *args, **kwargs):
    if kwargs.get("out") is not None:
        return NotImplemented
    tensors = [t for t in (*args, *kwargs.values()) if isinstance(t, Tensor)]
    shape = torch.broadcast_shapes(*(t.shape for t in tensors))

    def spread(t):
        return use.spread(t, shape) if isinstance(t, Tensor) and use.own(t) else t

    return func(*map(spread, args), **{k: spread(v) for k, v in kwargs.items()})


def prelu(use, func, input, weight):
    if not use.sampled(input):
        return NotImplemented
    if weight.numel() > 1:
        weight = weight.view(-1, *(1,) * (input.ndim - 2))
    return torch.where(input > 0, input, weight * input)


def side_by_side(use, func, tensors, dim=0, **kwargs):
    """Each tensor has its own row for every sample already."""
    if kwargs:
        return NotImplemented
    spread = [use.spread(t, t.shape) if use.own(t) else t for t in tensors]
    return func(spread, dim)


def attention(use, func, query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, **kwargs):
    """A bias of attention scores, broadcast over samples and heads."""
    if attn_mask is None or not use.own(attn_mask) or any(use.own(t) for t in (query, key, value)):
        return NotImplemented
    shape = (*query.shape[:-1], key.shape[-2])
    mask = use.spread(attn_mask, shape)
    return func(query, key, value, mask, dropout_p, is_causal, **kwargs)


RULES = {
    getattr(place, name): elementwise for name in NAMES for place in (torch, Tensor) if hasattr(place, name)
}
RULES |= {getattr(Tensor, name + "_"): elementwise for name in NAMES if hasattr(Tensor, name + "_")}
RULES |= {getattr(Tensor, f"__{name}__"): elementwise for name in DUNDER if hasattr(Tensor, f"__{name}__")}
RULES |= dict.fromkeys((torch.cat, torch.concat, torch.concatenate, torch.stack), side_by_side)
RULES |= {F.scaled_dot_product_attention: attention}
REWRITTEN = {torch.prelu: prelu, Tensor.prelu: prelu}
# Functions whose second argument says no more than a shape, a type or a device.
LIKE = {Tensor.expand_as, Tensor.view_as, Tensor.reshape_as, Tensor.type_as, Tensor.to}
