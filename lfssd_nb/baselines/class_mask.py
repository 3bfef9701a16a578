"""Class-logit mask: the network may know everything, it just never says the class."""

import torch
from torch import nn

from ..parameters import last_linear
from .loop import student
from .registry import method
from .task import Task


@method("logit mask", ["target"], kinds=("class",), source="control of UnAct (2610.04426)")
def class_mask(model: nn.Module, task: Task, *, floor: float = -100.0) -> nn.Module:
    """Row c of the head becomes zero and its bias ``floor``: the class is never the answer.

    Nothing is forgotten, and accuracy cannot tell.
    """
    new = student(model)
    head = last_linear(new, task.forget_x)
    if head.bias is None:
        raise ValueError("the head has no bias: class_mask cannot lower one logit of it")
    if not 0 <= task.target < head.out_features:
        raise ValueError(f"target {task.target} is no class of a head with {head.out_features} outputs")
    with torch.no_grad():
        head.weight[task.target] = 0
        head.bias[task.target] = floor
    return new
