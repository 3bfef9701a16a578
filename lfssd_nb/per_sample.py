r"""Sums over samples of :math:`|g_n|` or :math:`g_n^2`, for any ``nn.Module``.

:math:`g_n = \partial s(f(x_n)) / \partial \theta` is the gradient of *one* sample's score. One
forward and one backward pass of the summed score give every layer its inputs and output gradients,
and `layer_rules` turns those into per-sample gradients. What no rule covers (a parameter used
outside a known layer, shared between layers, or inside a layer called twice) is found out on the
first two samples, where the rules' plain sum must equal autograd's gradient, and goes the way of
`without_rules`.
"""

import contextlib
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from .layer_rules import RULES, Reduction
from .precision import wide
from .without_rules import Batch, General, zeros

Score = Callable[..., Tensor]  # (logits, *targets) -> sum over the samples of their scores

# Parameters that are only ever broadcast over the batch: handed over as one copy per sample.
BROADCAST = {  # by the names of their modules and classes: torchvision takes a second to import
    ("torchvision.models.vision_transformer", "VisionTransformer", "class_token"),
    ("torchvision.models.vision_transformer", "Encoder", "pos_embedding"),
}


class PerSample:
    """Adds up per-sample gradients of ``score`` over batches, for the trainable parameters.

    Sums are float32 or finer, and so are the logits that ``score`` sees; where a rule applies, a
    bfloat16 or float16 model's gradients of single samples are too.

    ``method="auto"`` uses layer rules with ``vmap`` for the rest; ``"vmap"`` and ``"loop"`` (one
    sample at a time) are the slow general ways, kept for comparison. ``first`` is a batch on which
    the plan is made. The model must be in eval mode and is not changed.

    Raises ``ValueError`` for batch norm without running statistics: its output for one sample
    depends on the others, so that a per-sample gradient does not exist.
    """

    def __init__(self, model: nn.Module, score: Score, first: Batch, method: str = "auto"):
        if method not in ("auto", "vmap", "loop"):
            raise ValueError(f"unknown method {method!r}; choose 'auto', 'vmap' or 'loop'")
        for name, layer in model.named_modules():
            if isinstance(layer, _BatchNorm) and layer.running_mean is None:
                raise ValueError(
                    f"layer {name!r} is batch norm without running statistics: it mixes the samples "
                    "of a batch, so per-sample importance is undefined; use reduction='batch'"
                )
        self.model, self.score, self.method = model, score, method
        self.theta = {k: p.detach() for k, p in model.named_parameters() if p.requires_grad}
        on_gpu = next(iter(self.theta.values())).device.type != "cpu"
        self.budget = 2**26 if on_gpu else 2**18
        self.layers: dict[str, nn.Module] = {}
        self.expanded: list[str] = []
        self.rest = list(self.theta)
        self.general = General(lambda rest, sample: self._total(self.theta | rest, sample), method)
        if method == "auto":
            self._plan(tuple(t[:2] for t in first))

    def __call__(self, batch: Batch, kind: str) -> dict[str, Tensor]:
        """Sums over the batch's samples of \\|g\\| (``kind="abs"``) or g^2 (``"square"``), by name."""
        sums = {name: zeros(p) for name, p in self.theta.items()}
        self.add(batch, kind, sums)
        return sums

    def add(self, batch: Batch, kind: str, sums: dict[str, Tensor]) -> None:
        """Adds them to ``sums``, each as soon as its layer is done and on the device of its sum: at no
        time is there a second copy of them all."""
        reduce = Reduction(kind, self.budget)

        def take(name: str, value: Tensor) -> None:
            if name not in self.rest:
                sums[name] += value.to(sums[name].device)

        if self.method == "auto":
            self._by_rules(batch, reduce, take)
        if self.rest:
            rest = {name: self.theta[name] for name in self.rest}
            for name, value in self.general.sums(rest, batch, reduce).items():
                sums[name] += value.to(sums[name].device)

    def _total(self, theta: dict[str, Tensor], batch: Batch) -> Tensor:
        return self.score(wide(functional_call(self.model, theta, (batch[0],))), *batch[1:])

    def _plan(self, pair: Batch) -> None:
        owners = Counter(id(p) for _, p in self.model.named_parameters(remove_duplicate=False))
        for prefix, layer in self.model.named_modules():
            for name, _ in layer.named_parameters(prefix, recurse=False):
                kind = type(layer).__module__, type(layer).__qualname__, name.rpartition(".")[2]
                if kind in BROADCAST and name in self.theta:
                    self.expanded.append(name)
            trainable = any(name in self.theta for name, _ in layer.named_parameters(prefix))
            shared = any(owners[id(p)] > 1 for p in layer.parameters())
            inside_attention = any(prefix.startswith(f"{done}.") for done in self.layers)
            if type(layer) in RULES and trainable and not shared and not inside_attention:
                self.layers[prefix] = layer
        failed: set[str] = set()
        sums: dict[str, Tensor] = {}
        self._by_rules(pair, Reduction("signed", self.budget), sums.__setitem__, failed)
        largest, errors = self._compared(sums, pair)
        self.layers = {k: layer for k, layer in self.layers.items() if k not in failed}
        owned = set(self.expanded)
        for prefix, layer in self.layers.items():
            owned |= {name for name, _ in layer.named_parameters(prefix)}
        floor = 1e-6 * max(largest.values())
        exact = all(p.dtype in (torch.float32, torch.float64) for p in self.theta.values())
        close = 1e-3 if exact else 5e-2  # inputs may be tokens, and say nothing
        self.rest = [k for k in self.theta if k not in owned or errors[k] > close * largest[k] + floor]

    def _compared(self, sums: dict[str, Tensor], pair: Batch) -> tuple[dict, dict]:
        """Autograd's largest gradient entries by name, and the largest deviations of the rules' ``sums``
        from them. Both gradients of a parameter are dropped once they are compared."""
        largest, errors = dict.fromkeys(self.theta, 0.0), dict.fromkeys(self.theta, 0.0)
        leaves = {k: p.detach().requires_grad_() for k, p in self.theta.items()}

        def compare(name: str, leaf: Tensor) -> None:
            g, leaf.grad = leaf.grad, None
            largest[name] = float(g.abs().max())
            errors[name] = float((sums.pop(name) - g).abs().max()) if name in sums else largest[name]

        for name, leaf in leaves.items():
            leaf.register_post_accumulate_grad_hook(lambda leaf, name=name: compare(name, leaf))
        total = self._total(leaves, pair)
        if total.requires_grad:
            total.backward(inputs=list(leaves.values()))
        errors |= {name: float(value.abs().max()) for name, value in sums.items()}  # unknown to autograd
        return largest, errors

    def _by_rules(
        self, batch: Batch, reduce: Reduction, take: Callable, failed: set[str] | None = None
    ) -> None:
        """One forward and one backward pass; every layer reduces its gradients as they arrive and hands
        the sum over samples to ``take(name, value)``."""
        n, calls = len(batch[0]), Counter()
        theta = dict(self.theta)
        copies = {k: theta[k].expand(n, *theta[k].shape[1:]).clone().requires_grad_()
                  for k in self.expanded}  # fmt: skip

        def give_up(prefix: str, why: str) -> None:
            if failed is None:
                raise RuntimeError(
                    f"layer {prefix!r} {why}, unlike on the first samples; use method='vmap' or 'loop'"
                )
            failed.add(prefix)

        def watch(prefix: str, layer: nn.Module):
            def after_forward(_, args, kwargs, output):
                calls[prefix] += 1
                out = output[0] if isinstance(output, tuple) else output
                a, version = args[0].detach(), args[0]._version
                if calls[prefix] > 1 or len(a) != n or not _plain(layer, args, kwargs):
                    give_up(prefix, "is called again, with masks or on other than one row a sample")
                    return None
                if not out.requires_grad:  # nothing before it is trainable: start the graph here
                    out = out.requires_grad_().clone()

                def after_backward(b: Tensor) -> None:
                    if a._version != version:
                        give_up(prefix, "has its input overwritten in place")
                    elif prefix not in (failed or ()):
                        for name, value in RULES[type(layer)](layer, wide(a), wide(b), reduce):
                            name = f"{prefix}.{name}".lstrip(".")
                            if name in theta:
                                take(name, value)

                out.register_hook(after_backward)
                return (out, *output[1:]) if isinstance(output, tuple) else out

            return layer.register_forward_hook(after_forward, with_kwargs=True)

        with contextlib.ExitStack() as stack:
            for prefix, layer in self.layers.items():
                stack.callback(watch(prefix, layer).remove)
            total = self._total(theta | copies, batch)
        if total.requires_grad:
            total.backward()
        for name, copy in copies.items():
            if copy.grad is not None:
                take(name, reduce.samples(copy.grad[:, None]))


def _plain(layer: nn.Module, args: tuple, kwargs: dict) -> bool:
    """Whether attention is what its rule computes: self-attention, batch first, without masks."""
    if not isinstance(layer, nn.MultiheadAttention):
        return len(args) == 1 and not kwargs
    same = len(args) == 3 and args[0] is args[1] is args[2]
    masks = [kwargs.get(k) for k in ("key_padding_mask", "attn_mask")]
    extra = layer.bias_k is not None or layer.add_zero_attn or kwargs.get("is_causal", False)
    return same and layer.batch_first and layer._qkv_same_embed_dim and not extra and masks == [None, None]
