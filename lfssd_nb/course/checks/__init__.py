"""Checks for the exercises: each takes the reader's function, isolates one mechanism, and fails with
a hint. A pass prints one line."""

from .accuracies import matched_accuracy, per_class
from .against_gold import answers_apart, confidence_gap, points_lost
from .alphas import carried, networks
from .architectures import head_shares, safe_slots
from .audits import log_odds, rank_p, true_positives, two_sided
from .batch_squares import from_batches
from .choosing import aim, choice, regret
from .comparing import cost, paired
from .controls import beats_nothing
from .curves import front, plateau
from .directions import squared_slopes
from .estimates import even_bins, group_importances
from .evidence import js_bits, networks_needed, partial_batch
from .first import agreement, outside
from .forecasts import length_share, scaled_together
from .hints import NotYet, expect
from .importances import centred, sensitivity, unsquared
from .large import in_vain, way_back
from .layered import same_layer
from .likeness import gold_spread, shared
from .luck import by_luck, flipped
from .merged import adapters
from .metrics import margin, tow
from .mixing import company
from .other_data import carried_far, surely
from .own import people_apart, soft
from .parts import speakers, without
from .paths import weakest_path
from .probes import probes_needed
from .pushes import best_push, one_weight
from .queues import fewest_parts, still_chosen
from .random_sets import image_weights, reference_order, spread
from .relapses import relapse
from .rule import alpha_for, dampened, dampened_rows, undone
from .sets import forgotten_share, retain_index
from .sparing import prices, spared
from .sub_classes import group_losses, sibling_gap
from .traps import one_pass, reported, undisturbed
from .variants import interaction, norm_bounds

__all__ = [
    "NotYet",
    "adapters",  # 19
    "agreement",  # page 00
    "aim",  # 12
    "alpha_for",  # 03
    "answers_apart",  # 04
    "beats_nothing",  # 06
    "best_push",  # 13
    "by_luck",  # 21
    "carried",  # 09
    "carried_far",  # 18
    "centred",  # 02
    "choice",  # 12
    "company",  # 20
    "confidence_gap",  # 04
    "cost",  # 07
    "dampened",  # 03
    "dampened_rows",  # 03
    "even_bins",  # 16
    "expect",
    "fewest_parts",  # 17
    "flipped",  # 21
    "forgotten_share",  # 01
    "from_batches",  # 16
    "front",  # 09
    "gold_spread",  # 01
    "group_importances",  # 16
    "group_losses",  # 05
    "head_shares",  # 20
    "image_weights",  # 06
    "in_vain",  # 19
    "interaction",  # 15
    "js_bits",  # 11
    "length_share",  # 14
    "log_odds",  # 08
    "margin",  # 10
    "matched_accuracy",  # 06
    "networks",  # 09
    "networks_needed",  # 11
    "norm_bounds",  # 15
    "one_pass",  # A1
    "one_weight",  # 13
    "outside",  # 00
    "paired",  # 07
    "partial_batch",  # 11
    "people_apart",  # 10
    "per_class",  # 04
    "plateau",  # 09
    "points_lost",  # 04
    "prices",  # 05
    "probes_needed",  # 15
    "rank_p",  # 08
    "reference_order",  # 06
    "regret",  # 12
    "relapse",  # 17
    "reported",  # A1
    "retain_index",  # 01
    "safe_slots",  # 20
    "same_layer",  # 14
    "scaled_together",  # 14
    "sensitivity",  # 02
    "shared",  # 01
    "sibling_gap",  # 05
    "soft",  # 10
    "spared",  # 05
    "speakers",  # 02
    "spread",  # 06
    "squared_slopes",  # 13
    "still_chosen",  # 17
    "surely",  # 18
    "tow",  # 07
    "true_positives",  # 08
    "two_sided",  # 08
    "undisturbed",  # A1
    "undone",  # 03
    "unsquared",  # 02
    "way_back",  # 19
    "weakest_path",  # 18
    "without",  # 02
]  # fmt: skip
