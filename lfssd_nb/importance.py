r"""How much each parameter matters to a set of samples S: the heart of SSD and LFSSD.

With logits :math:`f(x)` and parameters :math:`\theta_i`:

* **sensitivity** (LFSSD, 2402.19308; no labels, no loss)
  :math:`I_i(S) = \operatorname{mean}_{x \in S} | \partial \|f(x)\|_2^2 / \partial\theta_i |`
* **fisher** (SSD, 2308.07707; the diagonal empirical Fisher information)
  :math:`I_i(S) = \operatorname{mean}_{(x,y) \in S} ( \partial\, CE(f(x), y) / \partial\theta_i )^2`

That is ``reduction="sample"``, the definition in both papers. Their published code takes the
absolute value or the square of the gradient of a *batch mean* and averages over batches:
``reduction="batch"``. There the batch size and the order of the samples are part of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from .accumulation import accumulate
from .accumulation import check_options as check_options
from .batches import is_whole
from .explain import explain as explain
from .importance_scores import ESTIMATORS, name_of, own, takes_labels
from .importance_sums import Importance, check_finite
from .logits import Forward
from .parameters import Filter, chosen
from .without_rules import zeros

Data = Tensor | np.ndarray | Mapping | Iterable


def sensitivity(
    model: nn.Module,
    data: Data,
    *,
    squared: bool = True,
    reduction: str = "sample",
    batch_size: int | None = None,
    method: str = "auto",
    parameters: Filter | None = None,
    offload: str | torch.device | None = None,
    forward: Forward | None = None,
    keep_noise: bool = False,
    show_progress: bool = False,
) -> Importance:
    r"""LFSSD's importance, :math:`| \partial \|f(x)\|_2^2 / \partial\theta |`, without labels.

    data: inputs ``[N, ...]`` (tensor or array), a dictionary or named tuple of them, which the model is
    called with, a ``Dataset``, or an iterable of batches (a DataLoader): inputs, ``(inputs, labels)``, or
    dictionaries. Labels (``"labels"`` in a dictionary) are left out before anything is called, so that they
    cannot leak in.
    forward: ``forward(model, batch)`` returns the logits, for models that are called in another way; it gets
    the batch as it comes.
    squared: False takes :math:`\|f\|_2` instead of its square (XALFSSD, 2406.09173).
    reduction: ``"sample"`` (the paper) or ``"batch"`` (the published code, see the module).
    batch_size: for a tensor, how many samples at a time, in the order given. With ``"sample"`` it
    bounds the memory and does not change the result (default 128); with ``"batch"`` it is part of
    the definition and must be given. A loader's own batches are used as they come.
    method: see `PerSample`.
    parameters: names, shell-style patterns (``"layer4.*"``) or a predicate on the name, see
    `parameters.chosen`: only these get an importance, and the backward pass ends at the first of them.
    keep_noise: with ``"sample"``, sums over positions that cancel (the bias of attention's keys, one before
    an instance norm) are set to exactly 0 where they are within rounding of it, at most 4 units of the last
    place of what was added up; so dampening never selects them. True leaves them as computed.
    offload: device that holds the sums (``"cpu"``), if not that of the parameters. Every batch then
    moves one float32 number per weight, so take large batches.

    **Memory** beyond the model, in copies of its trainable parameters as float32 (activations, one batch's
    layer inputs and a few temporaries of the largest parameter's size not counted): one for the sums;
    ``"sample"`` adds each layer's gradients to them as they arrive, ``"batch"`` holds a second copy, its
    gradients. With ``offload`` the sums' copy is elsewhere; ``"sample"`` then needs one copy for a moment,
    while its plan is checked on four samples. Parameters that no layer rule covers (see `PerSample`) cost
    two more copies of themselves. Large batches go through the rules in halves: with its activations a
    ``"sample"`` pass needs about what a bare pass of the batch needs, or less (`make bench`).

    **bfloat16 and float16 parameters**: inputs must have the model's type, which decides how exact
    activations and gradients are. From there on nothing is rounded again: scores, per-sample gradients,
    squares and sums are float32. Measured against float64 (ResNet18 and ViT on digits; absolute errors of
    all weights over the sum of importances, per sample): 0.2 to 1.8 % in bfloat16, 0.03 to 0.4 % in float16;
    a batch mean, where signs cancel, 0.3 to 2 %, and tens of percent in tensors that nearly cancel. A
    gradient too small for float16 (6e-8) is lost.

    Works in eval mode on the device of the model, whatever mode that was in and whatever the caller is in
    (``no_grad``, inference mode, autocast), and leaves the model as it was. Every sample weighs the same with
    ``"sample"``, whatever the last batch holds; with ``"batch"`` every *batch* does.

    Raises ``ValueError`` for empty data, a model without trainable parameters, a pattern without a
    match, an unknown option, an importance that is NaN or infinite, a batch or an output that could mean more
    than one thing (`batches`), and, with ``"sample"``, a model whose logits are not a function of each sample
    alone (`trust`); warns of ``per_sample.SlowWay`` where no layer rule applies (see `explain`).
    """
    kind = "sensitivity" if squared else "norm sensitivity"
    how = (reduction, batch_size, method, parameters, offload, forward, keep_noise, show_progress)
    return _checked(model, data, None, kind, ESTIMATORS[kind], *how)


def fisher(
    model: nn.Module,
    data: Data,
    labels: Tensor | Sequence[int] | None = None,
    *,
    reduction: str = "sample",
    batch_size: int | None = None,
    method: str = "auto",
    parameters: Filter | None = None,
    offload: str | torch.device | None = None,
    forward: Forward | None = None,
    keep_noise: bool = False,
    show_progress: bool = False,
) -> Importance:
    r"""SSD's importance: :math:`( \partial\, CE(f(x), y) / \partial\theta )^2`, with labels.

    data, labels: inputs ``[N, ...]`` and class indices ``[N]`` (tensor, array or list), or a loader of
    ``(inputs, labels)`` or of dictionaries with ``"labels"``. Labels that are not one class a sample are
    refused. Everything else as in `sensitivity`. The square of the gradient of the *observed* label's loss
    makes this the empirical Fisher, not the true one (Kunstner et al. 2019).
    """
    if labels is not None and not is_whole(data):
        raise ValueError("a loader brings its own labels: leave `labels` out, or pass inputs as a tensor")
    if isinstance(data, Tensor | np.ndarray) and (labels is None or len(labels) != len(data)):
        got = "none" if labels is None else len(labels)
        raise ValueError(f"the Fisher importance of {len(data)} inputs needs as many labels; got {got}")
    how = (reduction, batch_size, method, parameters, offload, forward, keep_noise, show_progress)
    return _checked(model, data, labels, "fisher", ESTIMATORS["fisher"], *how)


def estimate(
    model: nn.Module,
    data: Data,
    labels: Tensor | None = None,
    *,
    score: Callable[..., Tensor],
    accumulate: str = "abs",
    name: str | None = None,
    reduction: str = "sample",
    batch_size: int | None = None,
    method: str = "auto",
    parameters: Filter | None = None,
    offload: str | torch.device | None = None,
    forward: Forward | None = None,
    keep_noise: bool = False,
    show_progress: bool = False,
) -> Importance:
    r"""An importance of your own, for any score s of the logits:
    :math:`I_i = \operatorname{mean}_x | \partial s / \partial \theta_i |`, or the mean of squares.

    >>> largest = estimate(model, x, score=lambda z: z.max(1).values)

    score: one number for each sample, ``[N]``, from logits ``[N, K]``, and from ``labels`` ``[N]`` where they
    are given: ``score(z, y)``. accumulate: ``"abs"`` or ``"square"``, what becomes of a gradient before it is
    added up. name: of the estimator (default: the function's, and a hash
    of its code). With ``reduction="batch"`` the gradient is
    that of the mean score of a batch. Everything else, and what is raised, as in `sensitivity`; two
    importances can be compared by `dampening.dampen` if they have the same name.

    Raises ``ValueError`` for a score that is not one number a sample, and for another ``accumulate``.
    """
    if accumulate not in ("abs", "square"):
        raise ValueError(f"unknown accumulate {accumulate!r}; choose 'abs' or 'square'")

    with_labels = takes_labels(score)
    if with_labels != (labels is not None) and isinstance(data, Tensor | np.ndarray):
        wanted = "logits and labels" if with_labels else "logits alone"
        raise ValueError(f"score takes {wanted}, and labels are {'not ' if with_labels else ''}given")

    name = name_of(score) if name is None else name
    kind = f"{name} ({accumulate})"
    how = own(score, accumulate, with_labels)
    options = (reduction, batch_size, method, parameters, offload, forward, keep_noise, show_progress)
    return _checked(model, data, labels, kind, how, *options)


def empty(
    model: nn.Module,
    estimator: str = "sensitivity",
    reduction: str = "sample",
    parameters: Filter | None = None,
    offload: str | torch.device | None = None,
) -> Importance:
    """Sums of zeros and a count of 0: adds nothing to another of its kind; `dampen` refuses it (no mean)."""
    sums = {name: zeros(p, offload) for name, p in chosen(model, parameters).items()}
    return Importance(sums, 0, 0, estimator, reduction)


def _checked(*how) -> Importance:
    found = accumulate(*how)
    check_finite(found.sums, found.estimator)
    return found
