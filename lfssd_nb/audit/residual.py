r"""Residual knowledge: does a small push of a forgotten sample bring the forgotten answer back?

.. math:: \rho(f) = \frac{1}{N_f} \sum_{x \in D_f} \Pr_u[\arg\max f(x + \tau \|x\| u) = y], \quad
   r_\tau = \rho(f) / \rho(f_{gold})

with directions u drawn uniformly on the unit sphere. A ratio above 1 says that the network knows the
neighbourhood of its forgotten samples better than a retrained one does. Gold never gives the answer of a
class that it never saw: its rho is 0, the ratio infinite, and what can be said is rho(f) - rho(f_gold).

Source: Hsu et al. 2601.22359, who take x' from a ball of radius tau around x and define the ratio sample by
sample (of the paper the abstract was read, the definition in a summary). Deviations: the size is relative to
the sample's norm, all pushes have the full length, and the ratio is that of means over D_f, since a single
sample's rate in gold is often 0.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..networks.forward import logits
from .arguments import check_from_0, check_whole


@dataclass(frozen=True)
class Residual:
    """``share``: rho of a network and ``gold``: of the gold networks (mean), 0..1; ``ratio``: r_tau, infinite
    where gold never gives the answer and the network does, NaN where neither does."""

    share: float
    gold: float

    @property
    def ratio(self) -> float:
        if self.gold:
            return self.share / self.gold
        return math.inf if self.share else math.nan

    @property
    def difference(self) -> float:
        return self.share - self.gold


def rates(model: nn.Module, x: Tensor, y: Tensor, size: float, draws: int = 20, seed: int = 0) -> Tensor:
    """How often each sample's label is answered under ``draws`` pushes of relative length ``size``: ``[N]``.

    x ``[N, ...]``, y ``[N]``. The directions depend on the seed and the shape of x alone, so that networks
    are asked the same. size=0 leaves the samples as they are.
    Raises ``ValueError`` for tokens, which have no small push.
    """
    check_from_0("size", size)
    check_whole("draws", draws, 1)
    if not x.is_floating_point():
        raise ValueError(
            f"inputs of {x.dtype} cannot be pushed a little: residual knowledge needs real numbers"
        )
    rng = np.random.default_rng(seed)
    length = size * x.flatten(1).norm(dim=1)
    right = torch.zeros(len(x), dtype=torch.float64)
    for _ in range(draws):
        u = torch.from_numpy(rng.standard_normal(x.shape)).to(x)
        step = (length / u.flatten(1).norm(dim=1)).view(-1, *[1] * (x.dim() - 1))
        right += (logits(model, x + step * u).argmax(1) == y).cpu()
    return right / draws


def compare(rate: Tensor, golds: Tensor) -> Residual:
    """A network's `rates` ``[N]`` beside those of gold networks ``[G, N]``."""
    return Residual(float(rate.mean()), float(golds.mean()))
