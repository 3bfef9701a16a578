"""NTK scrubbing: retrain the *linearised* network exactly. For small networks: it needs all Jacobians."""

import torch
from torch import Tensor, nn
from torch.func import jacrev, vmap

from ..parameters import call_with
from .loop import student
from .registry import method
from .task import Task

LARGEST = 2 * 10**8  # elements of the Jacobian: 1.6 GB in float64


def jacobian(model: nn.Module, x: Tensor) -> Tensor:
    """d logits / d theta in float64, ``[N * K, P]``. Raises ``ValueError`` if that would not fit."""
    net = student(model).eval().double()
    theta = {name: p.detach() for name, p in net.named_parameters()}
    n_parameters = sum(p.numel() for p in theta.values())
    n_classes = net(_double(x[:1])).shape[1]
    if len(x) * n_classes * n_parameters > LARGEST:
        raise ValueError(
            f"NTK scrubbing needs the Jacobian of {len(x)} samples x {n_classes} logits x {n_parameters} "
            f"weights, more than {LARGEST:.0e} numbers: use a smaller network or fewer samples"
        )

    def one(theta, sample):
        return call_with(net, theta, sample[None])[0]

    parts = vmap(jacrev(one), (None, 0))(theta, _double(x))
    return torch.cat([part.flatten(2) for part in parts.values()], 2).flatten(0, 1)


def _double(x: Tensor) -> Tensor:
    return x.double() if x.is_floating_point() else x  # tokens stay numbers of letters


def linearised_optimum(model: nn.Module, x: Tensor, y: Tensor, ridge: float) -> Tensor:
    r"""The weights v that minimise :math:`\tfrac12 \|f(x) + J (v - \theta) - Y\|^2 + \tfrac{\mu}{2} \|v\|^2`
    (Y: one-hot), exactly: the ridge regression that the network linearised at :math:`\theta` is."""
    j = jacobian(model, x)
    theta = torch.cat([p.detach().double().flatten() for p in model.parameters()])
    with torch.no_grad():
        z = student(model).eval().double()(_double(x))
    wanted = torch.nn.functional.one_hot(y, z.shape[1]).double()
    residual = (wanted - z).flatten() + j @ theta
    if len(j) < j.shape[1]:
        gram = j @ j.T + ridge * torch.eye(len(j), dtype=j.dtype, device=j.device)
        return j.T @ torch.linalg.solve(gram, residual)
    gram = j.T @ j + ridge * torch.eye(j.shape[1], dtype=j.dtype, device=j.device)
    return torch.linalg.solve(gram, j.T @ residual)


@method("NTK scrubbing", ["full", "retain", "labels"], source="Golatkar et al. 2020 (2003.02960)")
def ntk_scrubbing(model: nn.Module, task: Task, *, ridge: float = 1.0) -> nn.Module:
    r""":math:`\theta + v(D_r) - v(D)`, v(S) being the optimum of the linearised network on S. Exact for a
    linear model trained with squared loss and weight decay; costs :math:`O((NK)^2 P)`."""
    v = [linearised_optimum(model, x, y, ridge) for x, y in (
        (task.retain_x, task.retain_y), (task.full_x, task.full_y))]  # fmt: skip
    new = student(model)
    with torch.no_grad():
        parts = (v[0] - v[1]).split([p.numel() for p in new.parameters()])
        for p, part in zip(new.parameters(), parts, strict=True):
            p.add_(part.view_as(p).to(p))
    return new
