"""The orders in which batch-mean importances see D: part of their definition, see `importance`."""

import torch
from torch import Tensor

from .dataset import Dataset
from .scenarios import BY_LABEL, Scenario, check


def class_order(data: Dataset, scenario: Scenario) -> Tensor:
    """Positions of D by class (by sub-class where there are any) where labels are forgotten, else as
    stored: no batch mixes classes, but at the borders, and I(D) is the same for every forget set."""
    check(data, scenario)
    if scenario.kind in BY_LABEL:
        return (data.train_y if data.train_sub is None else data.train_sub).argsort(stable=True)
    return torch.arange(len(data.train_y), device=data.device)


def reference_order(data: Dataset, scenario: Scenario, seed: int = 0) -> Tensor:
    """Positions of D as the reference code of SSD hands them to its batch means: first D_r, then D_f.

    Class and sub-class: D_r by class (by sub-class in sub-class forgetting), within it as stored. Random:
    both in a random permutation, that of ``seed`` (there: of ``torch.utils.data.random_split``). Of the kinds
    that the reference code does not have, those that go by a label are ordered by it, the others as stored.
    """
    check(data, scenario)
    retain, forget = scenario.retain, scenario.forget
    if scenario.kind == "random":
        place = torch.randperm(len(data.train_y), generator=torch.Generator().manual_seed(seed))
        place = place.to(data.device)
        retain, forget = (part[place[part].argsort()] for part in (retain, forget))
    elif scenario.kind in BY_LABEL:
        labels = data.train_sub if scenario.kind == "subclass" else data.train_y
        retain = retain[labels[retain].argsort(stable=True)]
    return torch.cat([retain, forget])
