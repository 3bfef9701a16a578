r"""LiRA and U-LiRA: one likelihood-ratio test per image, calibrated on shadow models.

A global threshold calls every easy image a member. LiRA (Carlini et al. 2112.03570) asks of each image
how models behave that were trained on it, and how models that were not: two Gaussians of its stable
logit phi (see `attacks.stable_logit`), and the score log N(phi; in) - log N(phi; out).

U-LiRA (Hayes et al. 2403.01218) asks the question of unlearning with the same test: the image was in the
training set and then *unlearned*, or was never seen. Exact retraining leaves chance; both a trace that is
left and an image forgotten too well give the answer away.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..data.dataset import Dataset
from ..data.encode import positions
from ..networks.forward import logits
from ..system.progress import progress
from .attacks import stable_logit

Train = Callable[[int, Tensor], nn.Module]
Unlearn = Callable[[nn.Module, Tensor, Tensor, int], nn.Module]


@dataclass(frozen=True)
class Shadows:
    """``member[s, i]``: was image ``index[i]`` of D in shadow s's training set; ``phi[s, i]``: its stable
    logit there (float64). Shadows come in pairs, 0 and 1, 2 and 3, ..., trained on the two halves of D."""

    member: Tensor
    phi: Tensor
    index: Tensor

    def without(self, s: int) -> "Shadows":
        """The shadows for attacking shadow s: without s, and without its other half, which would tell."""
        keep = torch.arange(len(self.phi)) // 2 != s // 2
        return Shadows(self.member[keep], self.phi[keep], self.index)


def halves(n: int, n_shadows: int, seed: int = 0) -> Tensor:
    """Bool ``[n_shadows, n]``: random halves of D in complementary pairs, so that every image is in half
    of the shadows. More shadows only add rows. Raises ``ValueError`` for an odd or too small number."""
    if n_shadows < 2 or n_shadows % 2:
        raise ValueError(f"shadows come in pairs of complementary halves, got n_shadows={n_shadows}")
    member = torch.zeros(n_shadows, n, dtype=torch.bool)
    for pair in range(n_shadows // 2):
        order = torch.from_numpy(np.random.default_rng([seed, pair]).permutation(n))
        member[2 * pair, order[: n // 2]] = True
        member[2 * pair + 1, order[n // 2 :]] = True
    return member


def phi(model: nn.Module, data: Dataset, index: Tensor) -> Tensor:
    """Stable logits of training images ``index``, float64 on the CPU."""
    return stable_logit(logits(model, data.train_x[index]), data.train_y[index])


def shadows(data: Dataset, train: Train, n_shadows: int = 16, seed: int = 0, show: bool = True) -> Shadows:
    """Trains the shadows of LiRA and queries each for all of D.

    ``train(seed, index)`` returns a model trained on the images ``index``; with the cache of `training`
    an interrupted run goes on where it stopped:
    ``lambda seed, index: trained(data, architecture, recipe, seed, index, show=False)``.
    It is called with seeds from 1000 (``seed`` + 1) on, so that no shadow starts like a usual target.
    """
    everything = torch.arange(len(data.train_y))
    return _shadows(data, train, lambda model, *_: model, everything, n_shadows, seed, show)


def unlearned_shadows(
    data: Dataset,
    train: Train,
    unlearn: Unlearn,
    pool: Tensor,
    n_shadows: int = 16,
    seed: int = 0,
    show: bool = True,
) -> Shadows:
    """Trains the shadows of U-LiRA, lets each forget, and queries it for the images of ``pool``.

    Each shadow holds a random half of the pool; ``unlearn(model, forget_index, member_index, seed)``
    makes it forget exactly that half (``member_index`` is all that it was trained on). ``member`` then
    says "unlearned here" against "never seen here": both kinds come from models that went through the
    same procedure. The target must have gone through it too. pool: positions in D, for instance the forget
    set of a scenario. Raises ``ValueError`` for a pool that is not inside D, and for one of which a
    shadow holds nothing.
    """
    pool = positions("pool", pool, len(data.train_y)).cpu()

    def forget(model: nn.Module, member: Tensor, seed: int) -> nn.Module:
        mine = pool[member[pool]]
        if not len(mine):
            raise ValueError(f"a shadow holds none of the {len(pool)} images to forget: take a larger pool")
        device = data.device
        return unlearn(model, mine.to(device), member.nonzero()[:, 0].to(device), seed)

    return _shadows(data, train, forget, pool, n_shadows, seed, show)


def _shadows(data, train, treat, index, n_shadows, seed, show) -> Shadows:
    member, rows = halves(len(data.train_y), n_shadows, seed), []
    for s in progress(range(n_shadows), "shadow models", show):
        own_seed = 1000 * (seed + 1) + s
        model = treat(train(own_seed, member[s].nonzero()[:, 0].to(data.device)), member[s], own_seed)
        rows.append(phi(model, data, index.to(data.device)))
    return Shadows(member[:, index], torch.stack(rows), index)


def lira(target: Tensor, shadows: Shadows) -> Tensor:
    r"""Score :math:`\log N(\phi; \mu_{in}, \sigma_{in}) - \log N(\phi; \mu_{out}, \sigma_{out})`, ``[M]``.

    ``target``: the target's ``phi`` of the images ``shadows.index``. With shadows of `unlearned_shadows`
    this is U-LiRA's score, higher for "unlearned" than for "never seen". The means are the image's own; with
    fewer than 64 shadows it shares its two variances (pooled within images) with all the others, as
    Carlini et al. advise. A target of your own trains on a half of D from `halves` with another seed.
    Raises ``ValueError`` if the target is one of the shadows, if an image has fewer than two shadows on
    a side, or for values that are not finite.
    """
    target = target.cpu().double()
    if not (torch.isfinite(target).all() and torch.isfinite(shadows.phi).all()):
        raise ValueError("a stable logit is not finite: the target or a shadow has overflowing outputs")
    same = (shadows.phi == target).all(1)
    if same.any():
        raise ValueError(f"the target is shadow {int(same.nonzero()[0])} itself: attack it with without(s)")
    log_n = []
    for chosen in (shadows.member, ~shadows.member):
        count = chosen.sum(0)
        if int(count.min()) < 2:
            raise ValueError(
                f"an image has {int(count.min())} shadows on one side, two are needed: add shadows"
            )
        mean = (shadows.phi * chosen).sum(0) / count
        squares = ((shadows.phi - mean).square() * chosen).sum(0)
        variance = squares / (count - 1) if len(chosen) >= 64 else squares.sum() / (count - 1).sum()
        variance = variance.clamp(min=1e-12)
        log_n.append(-(target - mean).square() / (2 * variance) - variance.log() / 2)
    return log_n[0] - log_n[1]


def leave_one_out(shadows: Shadows) -> Tensor:
    """Every shadow as the target of the others (without its own pair): scores ``[S, M]``.

    As many attacks as shadows at no further training: average what `attacks.auc_and_tpr` says about the
    rows, members ``scores[s][member[s]]`` against ``scores[s][~member[s]]``. Needs six shadows.
    """
    return torch.stack([lira(row, shadows.without(s)) for s, row in enumerate(shadows.phi)])
