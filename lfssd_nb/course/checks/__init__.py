"""Checks for the exercises: each takes the reader's function, isolates one mechanism, and fails with
a hint. A pass prints one line."""

from .audits import log_odds, rank_p, true_positives, two_sided
from .first import agreement, outside
from .hints import NotYet, expect
from .importances import centred, sensitivity, unsquared
from .likeness import gold_spread, shared
from .method import networks, partial_batch, spread
from .metrics import margin, per_class, sibling_gap, tow
from .parts import speakers, without
from .rule import alpha_for, dampened, dampened_rows, undone
from .sets import forgotten_share, retain_index

__all__ = [
    "NotYet",
    "agreement",  # page 00
    "alpha_for",  # 03
    "centred",  # 02
    "dampened",  # 03
    "dampened_rows",  # 03
    "expect",
    "forgotten_share",  # 01
    "gold_spread",  # 01
    "log_odds",  # 08
    "margin",  # 10
    "networks",  # 09
    "outside",  # 00
    "partial_batch",  # 11
    "per_class",  # 04
    "rank_p",  # 08
    "retain_index",  # 01
    "sensitivity",  # 02
    "shared",  # 01
    "sibling_gap",  # 05
    "speakers",  # 02
    "spread",  # 06
    "tow",  # 07
    "true_positives",  # 08
    "two_sided",  # 08
    "undone",  # 03
    "unsquared",  # 02
    "without",  # 02
]  # fmt: skip
