"""What is left of D_f, and what it cost: metrics and attacks, each against gold models."""

from . import attacks, divergence, klom, lira, panel, relearn, representation, residual
from .all_metrics import Yardstick, battery, yardstick
from .how_accurate import Outputs, accuracies, accuracy, accuracy_per_class, outputs, percent_correct
from .intervals import interval, jackknife, mean_and_interval, paired_differences
from .linear_probe import features, probe_auroc
from .membership import entropy, entropy_attack
from .transplant import graft, norm_parameters, refresh_norm_statistics

__all__ = [
    "Outputs", "Yardstick", "accuracies", "accuracy", "accuracy_per_class", "attacks", "battery",
    "divergence", "entropy", "entropy_attack", "features", "graft", "interval", "jackknife", "klom",
    "lira", "mean_and_interval", "norm_parameters", "outputs", "paired_differences", "panel",
    "percent_correct", "probe_auroc", "refresh_norm_statistics", "relearn", "representation", "residual",
    "yardstick",
]  # fmt: skip
