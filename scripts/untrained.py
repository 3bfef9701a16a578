"""Puts an untrained network in place of every dampened one: which claims would a random network pass?

`recheck` runs this in the first cell of a page. Selection, reports and importances stay what they are; the
weights that come out of dampening are drawn anew. The package itself knows nothing of it.
"""

import copy

import torch
from torch import Tensor, nn

from lfssd_nb import dampening, redampen, unlearn
from lfssd_nb.baselines import adaptive


def untrained(model: nn.Module) -> nn.Module:
    """A copy with freshly drawn weights: each layer as it is initialised, loose parameters small."""
    fresh = copy.deepcopy(model)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for p in fresh.parameters():
            p.normal_(std=0.02)
        for layer in fresh.modules():
            for draw in ("reset_parameters", "_reset_parameters"):
                if hasattr(layer, draw):
                    getattr(layer, draw)()
    return fresh


def install() -> None:
    dampen, weights = dampening.dampen, redampen.Dial.weights

    def dampened(model: nn.Module, *given, **options):
        new, report = dampen(model, *given, **options)
        return untrained(new), report

    def at(self: redampen.Dial, alpha, lam: float = 1.0, out: Tensor | None = None) -> Tensor:
        weights(self, alpha, lam)  # what is refused stays refused
        if not hasattr(self, "fresh"):
            mine = dict(untrained(self.model).named_parameters())
            self.fresh = torch.cat([mine[name].detach().flatten() for name in self.names])
        return self.fresh.clone() if out is None else out.copy_(self.fresh)

    for module in (dampening, unlearn, adaptive):
        module.dampen = dampened
    redampen.Dial.weights = at


install()
