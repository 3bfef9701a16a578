r"""LFSSD and SSD as one-liners: importance of D_f and of D, then dampening.

>>> forgotten = lfssd(model, x[forget], x)                  # no labels; alpha by `agreement`
>>> forgotten = ssd(model, (x[forget], y[forget]), (x, y))  # labels
>>> forgotten = lfssd(model, x[forget], x, alpha=4)
>>> forgotten = lfssd(model, x[forget], stored)             # I(D) computed earlier, D discarded: a constant
>>> forgotten.model, forgotten.report, forgotten.selected_share, forgotten.choice
"""

from collections.abc import Callable

from torch import nn

from . import agreement
from .batches import is_whole
from .dampening import check_settings, dampen
from .importance import Data, check_options, fisher, sensitivity
from .importance_sums import Importance
from .parameters import Filter
from .unlearned import Unlearned, warn_if_unchanged

# alpha' = alpha N_f / N of per-sample importance, tuned on the digits: (without, with attention layers).
# The published SSD settings also fall from ResNet18 to ViT, from 10 to 5 for a class.
DEFAULT_SCALE = {"lfssd": (0.4, 0.23), "ssd": (0.65, 0.35)}
ESTIMATORS = {"lfssd": "sensitivity", "ssd": "fisher"}
METHODS = tuple(ESTIMATORS)
_SHARED = {
    "reduction", "batch_size", "method", "parameters", "offload", "forward", "keep_noise", "show_progress",
}  # fmt: skip
OPTIONS = {"lfssd": _SHARED | {"squared"}, "ssd": _SHARED}
NO_SCALE = (
    "batch-mean importance has no scale-free alpha: give alpha (published: 3.5 to 50), or alpha='agreement' "
    "and samples of D_f and of D"
)
Alpha = float | str | None


def default_alpha(method: str, model: nn.Module, n_full: int, n_forget: int) -> float:
    r"""The constant :math:`\alpha = \alpha' N / N_f` for per-sample importance: :math:`\alpha' = 0.4` for
    LFSSD and 0.65 for SSD, or 0.23 and 0.35 for a model with attention layers (a ViT).

    **Where an alpha that is left out is this constant**: in `lfssd` and `ssd` where an `Importance` is given,
    which leaves no samples to choose by; and wherever requests share the importance of D or are compared:
    the entries ``lfssd`` and ``ssd`` of the registry (`baselines`), `lab.forget`, `lab.compare`, `lab.Case`
    and with them the command line and all records. Everywhere else alpha is chosen by `agreement`.

    It was tuned on the digits. On other data and networks it may forget nothing, or too much.
    """
    attention = any(isinstance(layer, nn.MultiheadAttention) for layer in model.modules())
    return DEFAULT_SCALE[method][attention] * n_full / n_forget


def alpha_of(alpha: Alpha, scale: float | None, n_full: int, n_forget: int) -> Alpha:
    r""":math:`\alpha = \alpha' N / N_f` of a scale-free ``scale``, else ``alpha``. Raises ``ValueError`` for
    both."""
    if scale is None:
        return alpha
    if alpha is not None:
        raise ValueError(f"give alpha or scale, not both (got alpha={alpha}, scale={scale})")
    return scale * n_full / n_forget


def lfssd(
    model: nn.Module,
    forget: Data | Importance,
    full: Data | Importance,
    alpha: Alpha = None,
    lam: float = 1.0,
    *,
    parameters: Filter | None = None,
    **options,
) -> Unlearned:
    r"""Loss-Free Selective Synaptic Dampening (2402.19308): no labels, no loss, no retraining.

    forget, full: inputs of D_f and of *all* of D, D_f included (tensor, or loader of batches), or
    their `Importance`. options: those of `sensitivity` (``reduction``, ``batch_size``, ...); none, where both
    importances are given and nothing is left to compute.
    alpha: left out, it is chosen for this model and D_f by `agreement`, for per-sample importance and batch
    means alike. That needs D_f and D as samples, which are read once more, and some 25 forward passes of at
    most 1,000 samples of each (`samples.draw`); the result's ``choice`` says how it was chosen, and
    ``choice.samples`` how many went forward. ``"agreement"`` says the same aloud. The seed of the draw is
    fixed: the same samples in the same order give the same bits. Where an `Importance` is given, alpha is the
    constant of `default_alpha`; batch means have none, and alpha must be given.
    parameters: names, patterns (``"layer4.*"``, ``"*lora_*"``) or a predicate, see `parameters.chosen`:
    only these get importances and are dampened. A ready `Importance` must be of the same ones.

    **Memory** beyond the model: a float32 copy of the chosen parameters for each of the two importances,
    which the result keeps, and the new model; three copies in all, and one on the model's device with
    ``offload="cpu"``. `sensitivity` and `dampen` say what else there is. Choosing alpha makes one new model
    after another, no two at a time, and holds the samples drawn.

    Returns a new model. Warns when no weight changed, and when at the chosen alpha the share of answers left
    on D_f is more than 1/2 above the aim. Raises what `sensitivity` and `dampen` raise, and ``ValueError``
    for an unknown option, for a D_f that is all of D, and where agreement cannot choose
    (`agreement.chosen`): then give alpha.
    """
    for given in (forget, full):
        if isinstance(given, tuple):
            raise ValueError("lfssd takes inputs alone, without labels: pass x instead of (x, y)")

    def estimate(s):
        return sensitivity(model, s, parameters=parameters, **options)

    return _unlearn("lfssd", model, forget, full, alpha, lam, estimate, parameters, options)


def ssd(
    model: nn.Module,
    forget: tuple | Data | Importance,
    full: tuple | Data | Importance,
    alpha: Alpha = None,
    lam: float = 1.0,
    *,
    parameters: Filter | None = None,
    **options,
) -> Unlearned:
    r"""Selective Synaptic Dampening (2308.07707), with labels: the diagonal Fisher as importance.

    forget, full: ``(inputs, labels)``, a loader of such batches, or an `Importance`.
    Everything else as in `lfssd`.
    """

    def estimate(s):
        return fisher(model, *(s if isinstance(s, tuple) else (s,)), parameters=parameters, **options)

    return _unlearn("ssd", model, forget, full, alpha, lam, estimate, parameters, options)


def check(method: str, alpha: Alpha = None, lam: float = 1.0, **options) -> None:
    """Raises ``ValueError`` for an unknown method or impossible settings, before any work is done."""
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    if odd := sorted(options.keys() - OPTIONS[method]):
        known = ", ".join(["alpha", "lam", *sorted(OPTIONS[method])])
        raise ValueError(f"{method} has no setting {odd[0]}; its settings: {known}")
    if isinstance(alpha, str) and alpha != agreement.NAME:
        raise ValueError(f"alpha must be a number or {agreement.NAME!r}, got {alpha!r}")
    check_settings(None if alpha == agreement.NAME else alpha, lam)
    check_options(options.get("reduction", "sample"), options.get("batch_size"))
    if alpha is None and options.get("reduction") == "batch":
        raise ValueError(NO_SCALE)


def _unlearn(
    method: str, model, forget, full, alpha, lam, estimate: Callable, parameters, options: dict
) -> Unlearned:
    samples = not isinstance(forget, Importance) and not isinstance(full, Importance)
    alpha = agreement.NAME if alpha is None and samples else alpha
    check(method, alpha, lam, **options)  # before the importances are paid for
    if alpha == agreement.NAME:
        agreement.check_readable(forget, full)
    if options and isinstance(forget, Importance) and isinstance(full, Importance):
        raise ValueError(
            f"both importances are ready, so {', '.join(sorted(options))} can have no effect: leave it out, "
            "or pass inputs"
        )
    i_f, i_d = (s if isinstance(s, Importance) else estimate(s) for s in (forget, full))
    for given in (i_f, i_d):
        if given.estimator != ESTIMATORS[method]:
            raise ValueError(f"{method} needs {ESTIMATORS[method]} importances, got {given.estimator}")
    if i_f.samples == i_d.samples:
        raise ValueError(
            f"D_f has as many samples as D ({i_d.samples}): nothing would be retained. Pass all of D, D_f "
            "included, as the second; to forget all of D, begin with a new network"
        )
    if alpha is None:
        if i_f.reduction != "sample":
            raise ValueError(NO_SCALE)
        alpha = default_alpha(method, model, i_d.samples, i_f.samples)
    choice = None
    if alpha == agreement.NAME:
        x_f, x = (s[0] if isinstance(s, tuple) and not is_whole(s) else s for s in (forget, full))
        how = dict(batch_size=options.get("batch_size"), forward=options.get("forward"))
        choice = agreement.chosen(model, i_f, i_d, x_f, x, lam, **how)
        alpha = choice.alpha
    done = Unlearned(*dampen(model, i_f, i_d, alpha, lam, parameters), i_f, i_d, alpha, lam, choice)
    warn_if_unchanged(method, model, done, stacklevel=3)
    return done
