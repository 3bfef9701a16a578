r"""Are the samples of D_f where a retrained network has them? Distances between representations.

.. math:: d(A, B) = 1 - CKA(A, B), \quad CKA = \frac{\|A^T B\|_F^2}{\|A^T A\|_F \, \|B^T B\|_F}

for features A ``[N, F]``, B ``[N, G]`` of the same N samples in two networks, columns centred (linear centred
kernel alignment, Kornblith et al. 1905.00414). It compares which samples lie near which, and how far: 0 for
the same arrangement, 1 for none in common. It does not see a shift, a rotation or reflection of the feature
space (nor the order of the neurons), nor one common factor; it does see one direction that is stretched.

Two networks of different seeds are never at 0, and with few samples or many features chance agreement adds
to CKA. So the yardstick is gold to gold, on the same samples; `to_golds` leaves a gold network itself
out. A network can be too far from gold, and it can be too near to the original.

Why a representation: 2606.25001 and RULER, 2605.27569, find residuals there in networks that pass every test
of outputs. (Their own measures are others; abstracts read only.)
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn

from .linear_probe import features


def distance(a: Tensor, b: Tensor) -> float:
    """1 - linear CKA of features ``[N, F]`` and ``[N, G]`` of the same samples, from 0 to 1; float64.

    Raises ``ValueError`` for different numbers of samples, for fewer than three, and where all samples have
    the same features: there is no arrangement then.
    """
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b) or len(a) < 3:
        raise ValueError(
            f"features {list(a.shape)} and {list(b.shape)}: give two [N, F] of the same three samples or more"
        )
    a, b = (side.cpu().double() - side.cpu().double().mean(0) for side in (a, b))
    norms = (a.T @ a).norm() * (b.T @ b).norm()
    if not norms > 0:
        raise ValueError("all samples have the same features in one network: there is nothing to compare")
    return float((1 - (a.T @ b).square().sum() / norms).clamp(0, 1))


def to_golds(network: nn.Module, golds: Sequence[nn.Module], x: Tensor) -> float:
    """Mean `distance` to gold networks of the inputs of the last linear layer (`linear_probe.features`) at
    samples x ``[N, ...]``. ``network`` itself is left out of ``golds``. Raises ``ValueError`` if no other is
    left."""
    mine = features(network, x)
    found = [distance(mine, features(gold, x)) for gold in golds if gold is not network]
    if not found:
        raise ValueError("a representation is compared with other gold networks: give at least one")
    return float(np.mean(found))
