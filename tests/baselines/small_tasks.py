"""A small network that has learnt a few digits, and the task to forget one of them."""

import copy
from dataclasses import replace

import torch
import torch.nn.functional as F

from lfssd_nb import baselines
from lfssd_nb.audit import how_accurate
from lfssd_nb.baselines import Task, loop
from lfssd_nb.data import scenarios
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.recipes import Recipe
from lfssd_nb.networks.seeds import training_seed


def taught(tiny, few, seed):
    """``tiny`` after it has learnt the few digits."""

    def loss(net, x, y):
        return F.cross_entropy(net(x), y, label_smoothing=0.1)

    columns, seed = (few.train_x, few.train_y), training_seed(seed)
    net = loop.descend(copy.deepcopy(tiny), loss, columns, epochs=30, lr=0.02, seed=seed)
    assert how_accurate.accuracy(net, few.train_x, few.train_y) > 95
    net.zero_grad()
    return net


def small_task(few, tiny) -> Task:
    """Forgetting digit 3 of the few; ``fresh`` and ``retrain`` hand out networks like ``tiny``."""
    seed = training_seed(3)
    full = baselines.make(few, scenarios.forget_class(few, 3), Architecture("resnet18", 8), Recipe(1), seed)

    def fresh(seed):
        net = copy.deepcopy(tiny).train()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for p in net.parameters():
                p.add_(torch.randn(p.shape, generator=generator))
        return net

    return replace(full, fresh=fresh, retrain=lambda: fresh(99).eval())


def flat(net) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def same(a, b) -> bool:
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(v, b[k]) for k, v in a.items())
