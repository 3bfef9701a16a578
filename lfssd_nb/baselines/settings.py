"""What the settings of the built-in methods may be: one table, asked before any work."""

import math
from collections.abc import Callable, Mapping
from numbers import Real

from ..agreement import NAME as AGREEMENT

Allowed = tuple[Callable[[float], bool], str]


def _from(low: int) -> Allowed:
    return lambda v: v >= low and v == int(v), f"a whole number from {low} up"


ABOVE_0: Allowed = (lambda v: v > 0, "above 0")
FROM_0: Allowed = (lambda v: v >= 0, "0 or more")
SHARE: Allowed = (lambda v: 0 < v <= 1, "a share, above 0 and at most 1")
COUNTS = ("epochs", "steps", "n_noise", "draws", "n_samples", "batch_size", "forget_batch_size")
ALLOWED: dict[str, Allowed] = {
    **dict.fromkeys(COUNTS, _from(1)),
    **dict.fromkeys(("msteps", "decay_after"), _from(0)),
    **dict.fromkeys(("lr", "noise_lr", "temperature", "sigma", "ridge", "alpha"), ABOVE_0),
    **dict.fromkeys(("lam", "kl_weight", "gamma", "weight_decay"), FROM_0),
    "scale": FROM_0,  # 0: not tuned yet
    "growth": (lambda v: v > 1, "above 1"),
    **dict.fromkeys(("share", "beta", "lr_decay"), SHARE),
    "rho": (lambda v: 0 <= v <= 1, "a share, from 0 to 1"),
}  # fmt: skip


def check_values(method: str, settings: Mapping[str, object], defaults: Mapping[str, object]) -> None:
    """Raises ``ValueError`` for a value that cannot be: one that `ALLOWED` does not allow, NaN, infinite,
    or no number where the default is one. None is allowed where it is the default, and there ``"agreement"``
    for alpha."""
    for name, value in settings.items():
        default = defaults[name]
        chosen = name == "alpha" and value == AGREEMENT
        if (default is None and (value is None or chosen)) or isinstance(default, str):
            continue
        fits, what = ALLOWED.get(name, (lambda v: True, "a finite number"))
        number = isinstance(value, Real) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not fits(value):
            raise ValueError(f"{method}: {name} must be {what}, got {value!r} (default: {default})")
