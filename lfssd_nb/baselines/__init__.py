"""Every method to compare LFSSD with, one short module each, behind one signature.

>>> task = make(data, scenario, architecture, recipe, seed)
>>> model = METHODS["scrub"](original, task, epochs=3)
>>> METHODS["lfssd"].needs, METHODS["lfssd"].defaults
"""

# ruff: noqa: F401  importing a module registers its methods; the order is that of the tables
from . import (  # isort: skip
    retrain, controls, finetune, gradient_ascent, neggrad_plus, random_labels, bad_teacher, unsir, scrub,
    salun, l1_sparse, fisher_forgetting, jit, class_mask, adaptive, dampening_methods, ntk,
)  # fmt: skip
from .loop import descend
from .memory import Memory
from .registry import METHODS, Method, get, method
from .task import NEEDS, Task, make
