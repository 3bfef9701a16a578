"""Training seeds, all shifted in one place: is what a page says true of other networks too?

``LFSSD_SEED_OFFSET=1000`` turns every training seed s (initial weights, order, augmentation) into s + 1000,
in `architecture.build`, `training.fit`, the cache and the records. Forget sets and splits stay as they are.
"""

import os

VARIABLE = "LFSSD_SEED_OFFSET"


def training_seed(seed: int) -> int:
    """``seed`` plus ``$LFSSD_SEED_OFFSET`` (default 0). Raises ``ValueError`` unless that is an integer."""
    offset = os.environ.get(VARIABLE) or "0"
    try:
        return seed + int(offset)
    except ValueError as error:
        raise ValueError(f"{VARIABLE} must be an integer, got {offset!r}") from error
