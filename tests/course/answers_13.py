"""Answers to the exercises of page 13."""

import itertools
import math

import torch


def mean(values):
    return sum(values) / len(values)


def best_push(
    s,
    third,
    eps,
    largest,
    size=mean,
    bend=lambda column: mean([abs(t) for t in column]),
    of=lambda s, t, eps: 3 * eps * s / t,
    none=lambda most: most,
    cut=min,
    power=1 / 3,
):
    found = []
    for column in third.T.tolist():
        t = bend(column)
        found.append(cut(largest, of(size(s.tolist()), t, eps) ** power) if t != 0 else none(largest))
    return torch.tensor(found, dtype=torch.float64)


def push_with(**how):
    return lambda *a: best_push(*a, **how)


def by_slope(s, third, eps, largest):
    """Halving the interval in which the slope of the error changes its sign."""
    low, high = torch.zeros(third.shape[1]).double(), torch.full((third.shape[1],), largest).double()
    for _ in range(100):
        middle = (low + high) / 2
        rising = third.abs().mean(0) * middle / 3 > eps * s.mean() / middle**2
        low, high = torch.where(rising, low, middle), torch.where(rising, middle, high)
    return high


def on_a_grid(s, third, eps, largest):
    grid = torch.logspace(-9, 0, 10).double()[:, None] * largest
    return grid[(third.abs().mean(0) * grid**2 / 6 + eps * s.mean() / grid).argmin(0), 0]


def each_sample(s, third, eps, largest):
    rows = [best_push(s[k : k + 1], third[k : k + 1], eps, math.inf) for k in range(len(s))]
    return torch.stack(rows).mean(0).clamp(max=largest)


def squared(slopes, v, pairs=itertools.permutations, of=lambda p, q: p * q, least=2, end=lambda each: each):
    """Sample by sample, pair by pair."""
    samples = []
    for row in slopes:
        there = (~row.isnan()).nonzero()[:, 0].tolist()
        if len(there) >= least:
            products = [of(row[k] * v[k], row[j] * v[j]) for k, j in pairs(there, 2)]
            samples.append(end(torch.stack(products).mean(0)))
    return torch.stack(samples).mean(0)


def squared_with(**how):
    return lambda *a: squared(*a, **how)


def gram(slopes, v, leave=True):
    """With a matrix of ones and an empty diagonal."""
    a = torch.nan_to_num(slopes)
    there = 1.0 - slopes.isnan().double()
    apart = there[:, :, None] * there[:, None] * (1 - torch.eye(len(v)))
    number = apart.sum((1, 2))
    sums = torch.einsum("nk,nl,nkl,kp,lp->np", a, a, apart, v, v)
    counted = number > 0 if leave else number >= 0
    return (sums[counted] / number[counted, None]).mean(0)


def every_pair(there, _):
    return itertools.product(there, there)


def nearest_pairs(there, _):
    return itertools.pairwise(there)


def as_if_measured(slopes, v):
    enough = (~slopes.isnan()).sum(1) > 1
    return squared(slopes[enough].nan_to_num(0.0), v)


def with_zeros(slopes, v):
    enough = (~slopes.isnan()).sum(1) > 1
    return squared(slopes, v) * enough.double().mean()


def all_at_once(slopes, v):
    found = [
        row[k] * v[k] * row[j] * v[j]
        for row in slopes
        for k, j in itertools.permutations((~row.isnan()).nonzero()[:, 0].tolist(), 2)
    ]
    return torch.stack(found).mean(0)


def two_halves(slopes, v):
    u, half = slopes[:, :, None] * v, slopes.shape[1] // 2
    return (u[:, :half].nanmean(1) * u[:, half:].nanmean(1)).nanmean(0)


def only_signs(slopes, v):
    a = slopes[(~slopes.isnan()).sum(1) > 1]
    m = (~a.isnan()).sum(1)[:, None]
    return (((a.nan_to_num(0.0) @ v) ** 2 - a.nan_to_num(0.0).square().sum(1)[:, None]) / (m * m - m)).mean(0)


def sums_by_m(slopes, v):
    a = slopes[(~slopes.isnan()).sum(1) > 1]
    m = (~a.isnan()).sum(1)[:, None]
    u = a.nan_to_num(0.0)[:, :, None] * v
    return ((u.sum(1) ** 2 - (u**2).sum(1)) / m**2).mean(0)


def filling(slopes, v):
    slopes[slopes.isnan()] = 0.0
    return squared(slopes, v)


def one_weight(z, jacobian, theta, factor, length=lambda z: float(z @ z), move=lambda t, c: (c - 1) * t,
               wrong=lambda line, change: line < 0 < change):  # fmt: skip
    """Weight by weight and sample by sample, from the lengths before and after."""
    changes, mask = [], []
    for i, (t, c) in enumerate(zip(theta.tolist(), factor.tolist(), strict=True)):
        after = [length(row + move(t, c) * j[:, i]) - length(row) for row, j in zip(z, jacobian, strict=True)]
        line = [2 * move(t, c) * float(row @ j[:, i]) for row, j in zip(z, jacobian, strict=True)]
        changes.append(mean(after))
        mask.append(wrong(mean(line), mean(after)))
    return torch.tensor(changes, dtype=torch.float64), torch.tensor(mask)


def weight_with(**how):
    return lambda *a: one_weight(*a, **how)


def orders(z, jacobian, theta, factor, a=1.0, b=1.0, push=lambda t, c: (c - 1) * t):
    """First and second order, all weights in one product each."""
    step = push(theta, factor)
    line = 2 * step * torch.einsum("nk,nkp->p", z, jacobian) / len(z)
    bend = step**2 * torch.einsum("nkp,nkp->p", jacobian, jacobian) / len(z)
    change = a * line + b * bend
    return change, (line < 0) & (change > 0)


def orders_with(**how):
    return lambda *a: orders(*a, **how)


def of_change(of):
    return lambda z, *rest: (of(one_weight(z, *rest)[0], z), one_weight(z, *rest)[1])


def absolute(z, jacobian, *rest):
    rows = zip(z.split(1), jacobian.split(1), strict=True)
    each = [one_weight(row, j, *rest)[0].abs() for row, j in rows]
    return mean(each), one_weight(z, jacobian, *rest)[1]


def largest_alone(z, jacobian, *rest):
    rows, at = range(len(z)), z.argmax(1)
    return one_weight(z[rows, at][:, None], jacobian[rows, at][:, None], *rest)


def of_mean_sample(z, jacobian, theta, factor):
    return one_weight(z.mean(0, keepdim=True), jacobian.mean(0, keepdim=True), theta, factor)


def all_together(z, jacobian, theta, factor):
    after = z + jacobian @ ((factor - 1) * theta)
    change = (after**2 - z**2).sum(1).mean()
    line = 2 * (z * (after - z)).sum(1).mean()
    return change.repeat(len(theta)), ((line < 0) & (change > 0)).repeat(len(theta))


def unsquared_theta(z, jacobian, theta, factor):
    step = (factor - 1) * theta
    line = 2 * step * torch.einsum("nk,nkp->p", z, jacobian) / len(z)
    change = line + step.abs() * jacobian.square().sum(1).mean(0)
    return change, (line < 0) & (change > 0)


def one_step_of_two(z, jacobian, theta, factor):
    line = 2 * (factor - 1) * theta * torch.einsum("nk,nkp->p", z, jacobian) / len(z)
    change = line + (1 - factor) * theta**2 * jacobian.square().sum(1).mean(0)
    return change, (line < 0) & (change > 0)


def moving(z, jacobian, theta, factor):
    theta *= factor - 1
    return one_weight(z, jacobian, -theta, 0 * factor)


RIGHT = {"best_push": best_push, "squared_slopes": squared, "one_weight": one_weight}
STYLES = {"best_push": by_slope, "squared_slopes": gram, "one_weight": orders}
WRONG = {
    "best_push": [
        (push_with(of=lambda s, t, eps: 6 * eps * s / t), "where its slopes cancel"),
        (push_with(of=lambda s, t, eps: eps * s / t), "the constants count"),
        (push_with(of=lambda s, t, eps: 1.5 * eps * s / t), "each of the two lengths"),
        (push_with(of=lambda s, t, eps: eps * s / t / 3), "above the line"),
        (push_with(power=1 / 2), "the third root"),
        (push_with(power=1), "the root of the fraction"),
        (lambda s, third, eps, most: torch.full((5,), min(eps ** (1 / 3), most)), "the size of 1"),
        (push_with(of=lambda s, t, eps: 3 * eps / t), "rounding is relative"),
        (push_with(of=lambda s, t, eps: 3 * s / t), "where is eps"),
        (push_with(size=lambda s: mean([v**0.5 for v in s])), "the squared length already"),
        (each_sample, "average the two errors"),
        (push_with(bend=lambda column: abs(mean(column))), "do not cancel"),
        (lambda s, third, eps, most: (3 * eps * s.mean() / third.mean(0)).pow(1 / 3).clamp(max=most),
         "an error has no sign"),
        (push_with(bend=lambda column: sum(map(abs, column))), "not a sum beside a mean"),
        (push_with(size=max, bend=lambda column: max(map(abs, column))), "not that of the worst sample"),
        (push_with(cut=lambda most, push: push, none=lambda most: math.inf), "no push above"),
        (push_with(cut=lambda most, push: push), "not only an infinite one"),
        (push_with(cut=max), "not the least"),
        (push_with(none=lambda most: 0.0), "not by 0"),
        (push_with(none=lambda most: math.nan), "not left out"),
        (lambda s, third, *rest: best_push(s, third.abs().mean().expand(1, 5), *rest), "a push of its own"),
        (on_a_grid, "expected .* got"),
        (lambda *a: best_push(*a).tolist(), "return a tensor, not list"),
        (lambda *a: best_push(*a).mean(), "expected the shape"),
    ],
    "squared_slopes": [
        (squared_with(pairs=every_pair), "leave k = l out"),
        (squared_with(pairs=lambda there, _: zip(there, there, strict=True)), "how long the gradient is"),
        (sums_by_m, r"not m\^2"),
        (lambda *a: 2 * squared(*a), "counts twice in the number"),
        (lambda *a: squared(*a) / 2, "counts once in the number"),
        (lambda *a: squared(*a).clamp(min=0), "may be negative"),
        (squared_with(end=lambda each: each.clamp(min=0)), "each sample's estimate is too large"),
        (lambda a, v: squared(a.nanmean(0)[None], v), "not of the mean over samples"),
        (lambda *a: squared(*a).clamp(min=0) ** 0.5, "not its root"),
        (squared_with(pairs=every_pair, end=lambda each: each**0.5), "no such estimate"),
        (as_if_measured, "count those of each sample"),
        (lambda a, v: squared(a[~a.isnan().any(1)], v), "still has the others"),
        (with_zeros, "no square of 0"),
        (lambda *a: gram(*a, leave=False), "leave that sample out"),
        (lambda a, v: squared(a.masked_fill(a == 0, math.nan), v), "it is no NaN"),
        (lambda a, v: squared(a, v) * int(((~a.isnan()).sum(1) > 1).sum()), "not their sum"),
        (all_at_once, "however many pairs"),
        (two_halves, "one half with the other"),
        (squared_with(pairs=nearest_pairs), "not only neighbours"),
        (only_signs, "for signs alone"),
        (lambda a, v: squared(a, torch.ones_like(v)), "its own direction"),
        (squared_with(of=lambda p, q: (p * q).abs()), "expected .* got"),
        (filling, "the arguments have changed"),
        (lambda *a: squared(*a).sum(), "expected the shape"),
    ],
    "one_weight": [
        (orders_with(b=0.0), "a push of this size bends"),
        (orders_with(a=0.0), "the curvature alone"),
        (orders_with(push=lambda t, c: (1 - c) * t), "towards 0"),
        (orders_with(push=lambda t, c: c * t), "not by factor times theta"),
        (weight_with(move=lambda t, c: -t), "not always to zero"),
        (weight_with(move=lambda t, c: c - 1), "where is theta"),
        (orders_with(a=0.5), "the middle term"),
        (orders_with(b=2.0), r"not 2 J\^2"),
        (orders_with(b=0.5), r"half of it J\^2"),
        (one_step_of_two, "its factor, too"),
        (unsquared_theta, "theta, too"),
        (lambda z, j, *a: one_weight(z.sum(1)[:, None], j.sum(1)[:, None], *a), "not the square of the sum"),
        (of_change(lambda change, z: change / z.shape[1]), "not their mean"),
        (of_mean_sample, "not logits and derivatives"),
        (of_change(lambda change, z: change * len(z)), "not their sum"),
        (of_change(lambda change, z: change.abs()), "longer or shorter"),
        (absolute, "before the mean"),
        (largest_alone, "not the largest alone"),
        (of_change(lambda change, z: change + z.square().sum(1).mean()), "not the length after it"),
        (of_change(lambda change, z: change / z.square().sum(1).mean()), "not a share"),
        (all_together, "not all together"),
        (weight_with(wrong=lambda line, change: not line < 0 < change), "not where it is right"),
        (weight_with(wrong=lambda line, change: line <= 0 <= change), "neither shorter nor longer"),
        (weight_with(wrong=lambda line, change: abs(line - change) > abs(change)), "right in sign"),
        (weight_with(wrong=lambda line, change: change > 0), "has to say shorter"),
        (weight_with(wrong=lambda line, change: line < 0), "is it what happens"),
        (lambda *a: (one_weight(*a)[0], one_weight(*a)[1].nonzero()[:, 0]), "not positions"),
        (lambda *a: one_weight(*a)[::-1], "first the change"),
        (moving, "the arguments have changed"),
        (lambda *a: one_weight(*a)[0], "return 2 things"),
        (weight_with(length=lambda z: float(z @ z) ** 0.5), "expected .* got"),
    ],
}  # fmt: skip
