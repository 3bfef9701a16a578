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


def noise_variance(f: Tensor, classes: int, alpha: float, floor: float) -> Tensor:
    r"""What the published code makes of :math:`\alpha / F`, in the shape of the parameter.

    :math:`1 / (F + \text{floor})`, at most 1,000 (100 where the first dimension is that of the classes: the
    head), times alpha; then its mean over the second dimension (the inputs of a layer), and ten times as much
    for vectors and for the head.
    """
    head = f.shape[:1] == (classes,)
    variance = alpha * (1 / (f + floor)).clamp(max=100.0 if head else 1000.0)
    if f.ndim > 1:
        variance = variance.mean(1, keepdim=True).expand_as(f)
    return 10 * variance if head or f.ndim == 1 else variance


@method("Fisher forgetting", ["retain"], source="Golatkar et al. 2020 (1911.04933)", version=2)
def fisher_forgetting(
    model: nn.Module, task: Task, *, alpha: float = 1e-6, floor: float = 1e-8, n_samples: int | None = None
) -> nn.Module:
    r""":math:`\theta_i + n_i`, :math:`n_i \sim N(0, \alpha / F_i(D_r))`, the variance as the published code
    limits and averages it (`noise_variance`): without that, weights that D_r never uses would drown in noise.
    D_f shows only by its absence.

    Settings: the authors' code, and that of SSD, which copies it: alpha 1e-6, floor 1e-8.

    **Deviations.** ``n_samples``: estimate the Fisher on that many samples of D_r (seeded; None, as in the
    code: on all). Where a whole class is forgotten the code also sets the class's row of the head to zero
    and its variance to 1e-3, which needs the number of the class and is the logit mask (`class_mask`): left
    out. SSD's driver of random forgetting has no factor of ten for the matrix of the head; here it is there,
    as in the authors' code.
    """
    x = task.retain_x
    if n_samples is not None and n_samples < len(x):
        x = x[cycle(x, n_samples, task.seed)]
    importance, new, classes = true_fisher(model, x), student(model), n_outputs(model, x)
    generator = torch.Generator().manual_seed(task.seed)
    with torch.no_grad():
        for name, p in new.named_parameters():
            if name in importance:
                noise = torch.randn(p.shape, generator=generator).to(p)
                p.add_(noise * noise_variance(importance[name], classes, alpha, floor).sqrt())
    return new
