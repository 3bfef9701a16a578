"""One forward pass over any number of inputs, without gradients and in eval mode; what counts as logits."""

from collections.abc import Collection

import torch
from torch import Tensor, nn

from ..precision import evaluating, wide


@torch.no_grad()
def logits(model: nn.Module, x: Tensor, batch_size: int = 128) -> Tensor:
    """Logits ``[N, n_classes]`` of inputs ``[N, ...]`` in eval mode, on the inputs' device.

    Raises ``ValueError`` for inputs that no network can take as they are (arrays, lists, bytes) and
    ``FloatingPointError`` for outputs of which there is no softmax, see `check_logits`.
    """
    check_inputs("the inputs", x)
    with evaluating(model):
        z = torch.cat([model(part) for part in x.split(batch_size)])
    check_logits(z, model, x)
    return z


def check_inputs(field: str, x) -> None:
    """Raises ``ValueError`` unless ``x`` is a tensor, and not one of bytes: pictures before normalisation."""
    if not isinstance(x, Tensor):
        raise ValueError(
            f"{field} must be a tensor [N, ...], got {type(x).__name__}: torch.as_tensor(...) makes one, "
            "Dataset.from_tensors a data set"
        )
    if x.dtype == torch.uint8:
        raise ValueError(
            f"{field} are bytes {list(x.shape)}: divide by 255 and normalise them as in training "
            "(Dataset.from_folder does), or call .long() if they are tokens"
        )


def check_logits(z: Tensor, model: nn.Module | None = None, x: Tensor | None = None) -> None:
    """Raises ``FloatingPointError`` unless each row of ``z`` ``[..., K]`` has a softmax: no NaN, no +inf, and
    something above -inf (a masked class). An argmax of NaN would pass for an answer.

    ``model`` and ``x``, where they came from, let the message name what is not finite.
    """
    if torch.isfinite(z.detach().sum()):  # then every summand is, and that is the cheapest way to know
        return
    bad = ~torch.isfinite(wide(z.detach()).logsumexp(-1))
    if not bad.any():
        return
    why = "look for NaN in its weights and inputs, or train it with a lower learning rate"
    broken = [] if model is None else not_finite(model)
    if x is not None and not torch.isfinite(x).all():
        why = f"{int((~torch.isfinite(x)).sum())} numbers of its inputs are not finite: drop or fill them"
    elif broken:
        why = f"{broken[0]} has NaN or infinite values: train or load it again"
    raise FloatingPointError(
        f"the network's outputs are not finite for {int(bad.sum())} of {bad.numel()} samples, so that no "
        f"metric of it means anything; {why}"
    )


def not_finite(model: nn.Module, but: Collection[str] = ()) -> list[str]:
    """Names of parameters, then of buffers, that have a NaN or infinite entry, without those in ``but``:
    buffers may have held -inf before, on purpose."""
    state = [*model.named_parameters(), *model.named_buffers()]
    return [name for name, value in state if name not in but and not torch.isfinite(value).all()]
