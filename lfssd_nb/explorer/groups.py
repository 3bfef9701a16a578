"""Which images get a bar of their own: classes, sub-classes, or the forget set itself."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.dataset import Dataset
from ..data.scenarios import Scenario, check


@dataclass(frozen=True)
class Group:
    """``index``: positions among the images of `grids.exam`, on the CPU; ``forgotten``: all of them are of
    the kind that is to be forgotten."""

    label: str
    index: Tensor
    forgotten: bool


def groups(data: Dataset, scenario: Scenario, y: Tensor) -> tuple[list[Group], Tensor, list[str]]:
    """Groups, positions of all images of the forgotten kind, and what each image shows, in words.

    One group for each class with test images; in sub-class forgetting for each sub-class, where an answer is
    right when it is the super-class. Where these do not single out what is forgotten, it is a group too: for
    random forgetting D_f itself, behind the test images. y: labels ``[N]`` of the images of `grids.exam`.
    """
    check(data, scenario)
    fine, names = data.test_y.cpu(), data.classes
    titles = [names[k] for k in y]
    if scenario.kind == "subclass":
        fine, names = data.test_sub.cpu(), data.subclasses
        titles = [f"{names[k]} ({title})" for k, title in zip(fine, titles, strict=True)]
    tests = len(fine)
    forgotten = scenario.test_forget.cpu() if len(scenario.test_forget) else torch.arange(tests, len(y))
    wanted = torch.zeros(len(y), dtype=torch.bool)
    wanted[forgotten] = True
    found = [(name, (fine == k).nonzero()[:, 0]) for k, name in enumerate(names)]
    result = [Group(name, index, bool(wanted[index].all())) for name, index in found if len(index)]
    if sum(len(g.index) for g in result if g.forgotten) < len(forgotten):
        result.append(Group("$D_f$" if len(y) > tests else "to forget", forgotten, True))
    return result, forgotten, titles
