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


def reference_order(data: Dataset, scenario: Scenario) -> Tensor:
    """Positions of D as the reference code of SSD hands them to its batch means: first D_r, by class (by
    sub-class in sub-class forgetting; as stored in random), then D_f."""
    check(data, scenario)
    retain = scenario.retain
    labels = {"subclass": data.train_sub}.get(scenario.kind, data.train_y)
    labels = labels if scenario.kind in BY_LABEL else None
    if labels is not None:
        retain = retain[labels[retain].argsort(stable=True)]
    return torch.cat([retain, scenario.forget])
