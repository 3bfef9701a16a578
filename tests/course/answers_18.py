"""Answers to the exercises of page 18."""

import itertools
import math
from collections import defaultdict

import torch


def distinct(name):
    return {int(k) for k in name if k}


def every(name):
    return [int(k) for k in name if k]


def bound(f, r, n_f, n_r, times):
    """The least ratio of a letter that f of n_f forgotten and r of n_r retained names hold."""
    return (f / n_f) / ((f + times * r) / (n_f + n_r))


def surely(tokens, forget, letters, alpha, times, value=bound, above=float.__gt__, of=distinct):
    """Name by name, letter by letter."""
    f, r = [0] * letters, [0] * letters
    for name, gone in zip(tokens.tolist(), forget.tolist(), strict=True):
        for k in of(name):
            (f if gone else r)[k] += 1
    n_f, n_r, found = int(forget.sum()), int((~forget).sum()), []
    for a, b in zip(f, r, strict=True):
        found.append(a > 0 and above(float(value(a, b, n_f, n_r, times)), float(alpha)))
    return torch.tensor(found)


def surely_with(**how):
    return lambda *a: surely(*a, **how)


def at_once(tokens, forget, letters, alpha, times):
    holds = torch.nn.functional.one_hot(tokens, letters).amax(1).double()
    f, r = holds[forget].sum(0), holds[~forget].sum(0)
    return (f * len(tokens) > alpha * int(forget.sum()) * (f + times * r)) & (torch.arange(letters) > 0)


def padding_too(tokens, forget, letters, alpha, times):
    value = bound(
        int((tokens[forget] == 0).any(1).sum()),
        int((tokens[~forget] == 0).any(1).sum()),
        int(forget.sum()),
        int((~forget).sum()),
        times,
    )
    found = surely(tokens, forget, letters, alpha, times)
    found[0] = value > alpha
    return found


def by_position(tokens, forget, letters, alpha, times):
    return surely(tokens.T, forget, letters, alpha, times)


def emptied(tokens, forget, letters, alpha, times):
    tokens[~forget] *= 1
    tokens += 0
    tokens[tokens == 0] = 1
    return surely(tokens, forget, letters, alpha, times)


def chosen_for(pairs, k, alike):
    d, n = pairs[k]
    return [j for j, (e, m) in enumerate(pairs) if not alike(d == e, n == m) and j != k]


def mean(values):
    return sum(values) / len(values)


def middle(values):
    return sorted(values)[(len(values) - 1) // 2]


def carried_far(
    losses,
    data,
    networks,
    alike=lambda d, n: d or n,
    pooled=False,
    over=mean,
    end=lambda own, at: own[at] - min(own),
    none=math.nan,
):
    """Case by case, with lists."""
    rows, pairs, found = losses.tolist(), list(zip(data, networks, strict=True)), []
    for k, own in enumerate(rows):
        others = chosen_for(pairs, k, alike)
        groups = defaultdict(list)
        for j in others:
            groups[j if pooled else pairs[j]].append(rows[j])
        curves = [[over(column) for column in zip(*group, strict=True)] for group in groups.values()]
        if not curves:
            found.append(none)
            continue
        curve = [over(column) for column in zip(*curves, strict=True)]
        found.append(end(own, curve.index(min(curve))))
    return torch.tensor(found, dtype=torch.float64)


def far_with(**how):
    return lambda *a: carried_far(*a, **how)


def with_masks(losses, data, networks):
    """Weights for the cases, so that each pair weighs 1."""
    d, n = ([*dict.fromkeys(names)] for names in (data, networks))
    at = torch.tensor([[d.index(a), n.index(b)] for a, b in zip(data, networks, strict=True)])
    strange = (at[:, None] != at).all(2).double()
    weight = 1 / (at[:, None] == at).all(2).sum(1).double()
    curves = (strange * weight) @ losses
    behind = losses.gather(1, curves.argmin(1, keepdim=True))[:, 0] - losses.amin(1)
    return behind.where(strange.any(1), math.nan)


def one_for_all(losses, data, networks):
    k = int(losses.mean(0).argmin())
    return losses[:, k] - losses.min(1).values


def without_unanswered(*a):
    return torch.tensor([v for v in carried_far(*a).tolist() if not math.isnan(v)], dtype=torch.float64)


def subtracting(losses, *names):
    losses -= losses.amin(1, keepdim=True)
    return carried_far(losses, *names)


def kept(f, d, alpha, lam):
    """What dampening leaves of a weight."""
    return min(lam * d / f, 1.0) if d > 0 and f > alpha * d else 1.0


def factors(layers, alpha, lam, rule=kept):
    pairs = [torch.stack(pair, -1).tolist() for pair in layers]
    return [[[rule(f, d, alpha, lam) for f, d in row] for row in layer] for layer in pairs]


def weakest_path(layers, alpha, lam, rule=kept, end=min, start=1.0, outcome=lambda v: v):
    """Unit by unit: the smallest product on a way that ends there."""
    left = [start] * layers[0][0].shape[1]
    for rows in factors(layers, alpha, lam, rule):
        left = [end([a * b for a, b in zip(row, left, strict=True)]) for row in rows]
    return outcome(end(left))


def path_with(**how):
    return lambda *a: weakest_path(*a, **how)


def of_all_paths(layers, alpha, lam):
    """One path after another."""
    each = factors(layers, alpha, lam)
    widths = [layers[0][0].shape[1], *(f.shape[0] for f, _ in layers)]
    return min(
        math.prod(rows[b][a] for rows, (a, b) in zip(each, itertools.pairwise(path), strict=True))
        for path in itertools.product(*map(range, widths))
    )


def smallest(layers, alpha, lam):
    return [min(map(min, rows)) for rows in factors(layers, alpha, lam)]


def hopping(layers, alpha, lam):
    """From the smallest factor of the first layer on, always the next smallest."""
    product, at = 1.0, None
    for rows in factors(layers, alpha, lam):
        steps = [(row[j], i) for i, row in enumerate(rows) for j in range(len(row)) if at in (None, j)]
        step, at = min(steps)
        product *= step
    return product


def hopping_back(layers, alpha, lam):
    product, at = 1.0, None
    for rows in factors(layers, alpha, lam)[::-1]:
        steps = [(v, j) for i, row in enumerate(rows) for j, v in enumerate(row) if at in (None, i)]
        step, at = min(steps)
        product *= step
    return product


def all_dampened(f, d, alpha, lam):
    return min(lam * d / f, 1.0) if d > 0 else 1.0


def ties_too(f, d, alpha, lam):
    return min(lam * d / f, 1.0) if d > 0 and f >= alpha * d else 1.0


def growing(f, d, alpha, lam):
    return lam * d / f if d > 0 and f > alpha * d else 1.0


def dead_to_zero(f, d, alpha, lam):
    return min(lam * d / f, 1.0) if f > alpha * d else 1.0


def lambda_alone(f, d, alpha, lam):
    return min(lam, 1.0) if d > 0 and f > alpha * d else 1.0


def alpha_inside(f, d, alpha, lam):
    return min(alpha * d / f, 1.0) if d > 0 and f > alpha * d else 1.0


def turned_round(layers, *how):
    return weakest_path([(f.T, d.T) for f, d in layers], *how)


def clipping(layers, alpha, lam):
    for f, d in layers:
        f.clamp_(min=d * 0.5)
    return weakest_path(layers, alpha, lam)


RIGHT = {"surely": surely, "carried_far": carried_far, "weakest_path": weakest_path}
STYLES = {"surely": at_once, "carried_far": with_masks, "weakest_path": of_all_paths}
WRONG = {
    "surely": [
        (surely_with(of=every), "count names"),
        (padding_too, "padding is no letter"),
        (surely_with(above=float.__ge__), "a tie is not selected"),
        (surely_with(value=lambda f, r, n, m, t: bound(f, r, n, m, 1)), "where is `times`"),
        (surely_with(value=lambda f, r, n, m, t: bound(f, r, n, m, 1 / t)), "larger gradients in D_r"),
        (surely_with(value=lambda f, r, n, m, t: bound(f, r, n, m, 1) / t), "only its retained part"),
        (surely_with(value=lambda f, r, n, m, t: f / n / (t * r / m) if r else math.inf), "D_f included"),
        (surely_with(value=lambda f, r, n, m, t: f / (f + t * r)), "importances are means"),
        (surely_with(value=lambda f, r, n, m, t: m / n * f / (f + t * r)), "not N_r / N_f"),
        (surely_with(value=lambda f, r, n, m, t: n / (n + m) * f / (f + t * r)), "not N_f / N"),
        (surely_with(value=lambda f, r, n, m, t: r and bound(f, r, n, m, t)), "the surest of all"),
        (surely_with(value=lambda f, r, n, m, t: 0 if r else bound(f, r, n, m, t)), "not only letters"),
        (lambda tokens, forget, *how: surely(tokens, ~forget, *how), "is True in D_f"),
        (lambda *a: ~surely(*a), "not where it is not"),
        (lambda *a: torch.tensor([k for k, on in enumerate(surely(*a)) if on]), "a mask of all letters"),
        (lambda *a: surely(*a).tolist(), "return a tensor, not list"),
        (lambda *a: surely(*a)[1:], "expected the shape"),
        (by_position, "Error in line"),
        (emptied, "the arguments have changed"),
        (lambda *a: None, "return"),
    ],
    "carried_far": [
        (far_with(alike=lambda d, n: n), "shares the data, too"),
        (far_with(alike=lambda d, n: d), "shares the network, too"),
        (far_with(alike=lambda d, n: d and n), "one of the two is enough"),
        (far_with(alike=lambda d, n: False), "leaving out the case itself"),
        (one_for_all, "have no say"),
        (far_with(pooled=True), "no more say"),
        (far_with(end=lambda own, at: own[at]), "its own best|the case's own best"),
        (far_with(end=lambda own, at: min(own) - own[at]), "not the other way round"),
        (far_with(end=lambda own, at: own[at] - max(own)), "is its smallest"),
        (far_with(end=lambda own, at: own[at] - mean(own)), "not the mean of its own"),
        (far_with(over=max), "smallest worst one"),
        (far_with(over=min), "smallest loss of any"),
        (far_with(over=middle), "smallest median"),
        (far_with(end=lambda own, at: at), "not the place"),
        (far_with(none=0.0), "there is no answer: NaN"),
        (without_unanswered, "the ones without an answer"),
        (lambda *a: carried_far(*a).nanmean(), "not their mean"),
        (subtracting, "the arguments have changed"),
        (lambda *a: carried_far(*a).tolist(), "return a tensor, not list"),
        (lambda *a: carried_far(*a) > 0, "not a mask|mask|expected"),
    ],
    "weakest_path": [
        (lambda *a: math.prod(smallest(*a)), "need not join up"),
        (lambda *a: min(smallest(*a)), "multiply"),
        (path_with(end=max), "not the strongest"),
        (path_with(end=mean), "not the mean over paths"),
        (path_with(end=sum), "not the sum over paths"),
        (hopping, "best first step"),
        (hopping_back, "best last step"),
        (turned_round, "a row is an output|Error in line"),
        (path_with(rule=all_dampened), "where is alpha"),
        (path_with(rule=ties_too), "a tie is not selected"),
        (path_with(rule=growing), "no weight may grow"),
        (path_with(rule=dead_to_zero), "it is left alone|ZeroDivision"),
        (lambda layers, alpha, lam: weakest_path(layers, alpha, 1.0), "has lambda in it"),
        (path_with(rule=lambda_alone), "not lambda$"),
        (path_with(rule=alpha_inside), "alpha only selects"),
        (path_with(outcome=lambda v: 1 - v), "what is left"),
        (path_with(outcome=math.log), "no logarithm"),
        (lambda layers, *how: weakest_path(layers, *how) ** (1 / len(layers)), "not its root"),
        (clipping, "the arguments have changed"),
        (lambda *a: {"path": weakest_path(*a)}, "return one number, not dict"),
        (lambda *a: 0.5, "expected .* got"),
    ],
}  # fmt: skip
