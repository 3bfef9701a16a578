"""Checks for the exercises: each takes the reader's function, isolates one mechanism, and fails with
a hint. A pass prints one line."""

from .accuracies import matched_accuracy, per_class
from .against_gold import answers_apart, confidence_gap, points_lost
from .alphas import carried, networks
from .audits import two_sided
from .choosing import aim, choice, regret
from .controls import beats_nothing
from .curves import front, plateau
from .evidence import js_bits, networks_needed, partial_batch
from .hints import NotYet, expect
from .importances import sensitivity
from .metrics import margin, tow
from .random_sets import image_weights, reference_order, spread
from .rule import dampened
from .sets import retain_index
from .sparing import prices, spared
from .sub_classes import group_losses, sibling_gap

__all__ = [
    "NotYet",
    "aim",  # 12
    "answers_apart",  # 04
    "beats_nothing",  # 06
    "carried",  # 09
    "choice",  # 12
    "confidence_gap",  # 04
    "dampened",  # 03
    "expect",
    "front",  # 09
    "group_losses",  # 05
    "image_weights",  # 06
    "js_bits",  # 11
    "margin",  # 10
    "matched_accuracy",  # 06
    "networks",  # 09
    "networks_needed",  # 11
    "partial_batch",  # 11
    "per_class",  # 04
    "plateau",  # 09
    "points_lost",  # 04
    "prices",  # 05
    "reference_order",  # 06
    "regret",  # 12
    "retain_index",  # page 01
    "sensitivity",  # 02
    "sibling_gap",  # 05
    "spared",  # 05
    "spread",  # 06
    "tow",  # 07
    "two_sided",  # 08
]  # fmt: skip
