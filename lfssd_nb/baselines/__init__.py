"""Every method to compare LFSSD with, one short module each, behind one signature.

>>> task = make(data, scenario, architecture, recipe, seed)
>>> model = METHODS["scrub"](original, task, epochs=3)
>>> METHODS["lfssd"].needs, METHODS["lfssd"].defaults
"""

# ruff: noqa: F401  importing a module registers its methods; the order is that of the tables
from . import (  # isort: skip
    retrain, controls, finetune, gradient_ascent, neggrad_plus, random_labels, bad_teacher, unsir, scrub,
    salun, l1_sparse, fisher_forgetting, jit, class_mask, adaptive, ssd_and_lfssd, ntk,
)  # fmt: skip
from .importance_memory import Memory
from .loop import descend
from .registry import METHODS, Method, get, method
from .task import NEEDS, Task, make
