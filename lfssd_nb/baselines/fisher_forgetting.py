"""Fisher forgetting: noise for every weight, little for those that the retain set needs."""

import torch
from torch import Tensor, nn

from ..per_sample import PerSample
from ..precision import differentiating
from .loop import cycle, n_outputs, student
from .registry import method
from .task import Task


def true_fisher(model: nn.Module, x: Tensor, batch_size: int = 128) -> dict[str, Tensor]:
    r"""Diagonal of the true Fisher, :math:`\operatorname{mean}_x \sum_k p_k(x)\,(\partial \log p_k(x) /
    \partial\theta)^2`: the expectation over the model's own labels, so that no label is read."""
    classes = n_outputs(model, x)
    sums = {name: torch.zeros_like(p) for name, p in model.named_parameters() if p.requires_grad}
    with differentiating(model):
        for k in range(classes):

            def score(z, k=k):
                log_p = z.log_softmax(1)[:, k]
                return (log_p.detach().exp().sqrt() * log_p).sum()

            add = PerSample(model, score, (x[:2],))
            for part in x.split(batch_size):
                for name, value in add((part,), "square").items():
                    sums[name] += value
    return {name: value / len(x) for name, value in sums.items()}


@method("Fisher forgetting", ["retain"], source="Golatkar et al. 2020 (1911.04933)")
def fisher_forgetting(
    model: nn.Module, task: Task, *, alpha: float = 1e-6, floor: float = 1e-8, n_samples: int | None = None
) -> nn.Module:
    r""":math:`\theta_i + n_i`, :math:`n_i \sim N(0, \alpha / (F_i(D_r) + \text{floor}))`.

    Published: alpha 1e-6; the floor is ours. ``n_samples``: estimate the Fisher on that many samples of
    D_r (seeded; None: on all). D_f shows only by its absence.
    """
    x = task.retain_x
    if n_samples is not None and n_samples < len(x):
        x = x[cycle(x, n_samples, task.seed)]
    importance, new = true_fisher(model, x), student(model)
    generator = torch.Generator().manual_seed(task.seed)
    with torch.no_grad():
        for name, p in new.named_parameters():
            if name in importance:
                noise = torch.randn(p.shape, generator=generator).to(p)
                p.add_(noise * (alpha / (importance[name] + floor)).sqrt())
    return new
