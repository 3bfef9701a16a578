"""Outputs as people have them: a model as a function from inputs to logits ``[N, ...]``."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

Forward = Callable[[nn.Module, Any], Any]


class _Nobody:
    """In the place of a model: raises whatever is asked of it."""

    class Asked(Exception):
        pass

    def __getattr__(self, name):
        raise self.Asked

    def __call__(self, *args, **kwargs):
        raise self.Asked


def check_uses_model(forward: Forward, inputs: Any) -> None:
    """Raises ``ValueError`` for a forward function that calls another model than the one it is given."""
    try:
        forward(_Nobody(), inputs)
    except Exception:
        return
    raise ValueError(
        "forward does not use the model that it is given, so a dampened copy would never be asked: write "
        "forward=lambda model, batch: model(...)"
    )


class Logits(nn.Module):
    """``model`` as a function from a batch's inputs to logits ``[N, ...]``."""

    def __init__(self, model: nn.Module, forward: Forward | None = None):
        super().__init__()
        self.model, self.how = model, forward

    def forward(self, inputs) -> Tensor:
        if self.how is not None:
            return logits_of(self.how(self.model, inputs))
        if isinstance(inputs, Mapping):
            return logits_of(self.model(**inputs))
        if isinstance(inputs, list | tuple):
            return logits_of(self.model(*inputs))
        return logits_of(self.model(inputs))


def logits_of(out) -> Tensor:
    """The tensor of logits in what a model returns, ``[N]`` as ``[N, 1]``. Raises ``TypeError`` where there
    is more than one candidate."""
    if not isinstance(out, Tensor):
        found = getattr(out, "logits", None)
        if found is None and isinstance(out, Mapping):
            found = out.get("logits", next(iter(out.values())) if len(out) == 1 else None)
        if found is None and isinstance(out, list | tuple) and len(out) == 1:
            found = out[0]
        if not isinstance(found, Tensor):
            raise TypeError(
                f"the model returns {type(out).__name__}{_parts(out)}, and which part are the logits is not "
                "clear: say it with forward=lambda model, batch: model(batch)[...]"
            )
        out = found
    if not out.is_floating_point():
        raise TypeError(f"the model returns {out.dtype}, not logits; give forward= a function that does")
    return out[:, None] if out.ndim == 1 else out


def _parts(out) -> str:
    if isinstance(out, Mapping):
        return f" with {', '.join(map(repr, out))}"
    return f" of {len(out)}" if isinstance(out, list | tuple) else ""
