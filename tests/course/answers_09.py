"""Answers to the exercises of page 09."""

import math

import torch


def sizes(ratios, alphas):
    return [int((ratios > max(alpha, 1.0)).sum()) for alpha in alphas]


def runs(loss, tie, low=None):
    """(length, first) of each run of low losses."""
    least = min(v for v in loss.tolist() if v == v)
    flags = low(loss) if low else [v <= least + tie for v in loss.tolist()]
    found, length = [], 0
    for k, flag in enumerate([*flags, False]):
        if flag:
            length += 1
        elif length:
            found.append((length, k - length))
            length = 0
    return found


def widest(loss, tie, low=None):
    length, first = max(runs(loss, tie, low))
    return first, first + length - 1


def first_of_equals(loss, tie):
    length, first = max(runs(loss, tie), key=lambda run: (run[0], -run[1]))
    return first, first + length - 1


def bridging(loss, tie):
    least = float(loss[loss.isfinite()].min())
    return widest(loss, tie, lambda loss: [v != v or v <= least + tie for v in loss.tolist()])


def around(loss, tie):
    at = loss.tolist().index(min(v for v in loss.tolist() if v == v))
    return next((first, first + n - 1) for n, first in runs(loss, tie) if first <= at < first + n)


def all_low(loss, tie):
    low = (loss <= loss[loss.isfinite()].min() + tie).nonzero()[:, 0].tolist()
    return low[0], low[-1]


def poisoned(loss, tie):
    low = (loss <= loss.min() + tie).nonzero()[:, 0]
    return int(low[0]), int(low[-1])


def edge(retained, forgotten, beats):
    cells = list(zip(retained.tolist(), forgotten.tolist(), strict=True))
    there = [math.isfinite(r) and math.isfinite(f) for r, f in cells]
    return torch.tensor([mine and not any(other and beats(cell, own) for other, cell in
                                          zip(there, cells, strict=True))
                         for mine, own in zip(there, cells, strict=True)])  # fmt: skip


def better(a, b):
    return a[0] >= b[0] and a[1] <= b[1] and a != b


def by(beats):
    return lambda r, f: edge(r, f, beats)


def front(r, f):
    return edge(r, f, better)


def first_only(r, f):
    found = front(r, f)
    cells = list(zip(r.tolist(), f.tolist(), strict=True))
    return torch.tensor([bool(on) and cells.index(cells[k]) == k for k, on in enumerate(found)])


def best_sum(r, f):
    return (r - f) == (r - f)[(r - f).isfinite()].max()


def carried(alpha, n, n_f, new_n, new_n_f):
    return alpha / (n / n_f) * (new_n / new_n_f)


RIGHT = {
    "networks": lambda ratios, alphas: len(set(sizes(ratios, alphas))),
    "plateau": widest,
    "carried": carried,
    "front": front,
}
WRONG = {
    "networks": [
        (lambda r, a: len(a), "several alphas"),
        (lambda r, a: len({int((r >= max(v, 1)).sum()) for v in a}), "the inequality is strict"),
        (lambda r, a: len({int((r >= v).sum()) for v in a}), "and a ratio up to 1 changes nothing"),
        (lambda r, a: len({int((r > v).sum()) for v in a}), "may be selected, but its factor"),
        (lambda r, a: len({s for s in sizes(r, a) if s}), "the original is a network, too"),
        (lambda r, a: len({0, *sizes(r, a)}), "only if an alpha leaves it"),
        (lambda r, a: 1 + sum(p != q for p, q in zip(sizes(r, a), sizes(r, a)[1:], strict=False)), "order"),
        (lambda r, a: min(2, len(set(sizes(r, a)))), "expected 4, got 2"),
        (lambda r, a: max(sizes(r, a)), "not how many weights"),
        (lambda r, a: len(set(sizes(r, a))) - 1, "not how many steps"),
        (lambda r, a: set(sizes(r, a)), "return one number, not set"),
    ],
    "plateau": [
        (all_low, "a run has no gap"),
        (lambda *a: (runs(*a)[0][1], sum(runs(*a)[0]) - 1), "not the first"),
        (lambda *a: (runs(*a)[-1][1], sum(runs(*a)[-1]) - 1), "the longest run, not the last"),
        (around, "around the"),
        (first_of_equals, "of equally long runs the last"),
        (lambda loss, tie: widest(loss, tie - 1e-6), "of exactly the smallest plus|expected"),
        (lambda loss, tie: widest(loss, 0.0), "not the smallest alone"),
        (poisoned, "NaN.*IndexError|a run has no gap"),
        (lambda loss, tie: widest(loss.nan_to_num(0.0), tie), "no loss of 0"),
        (bridging, "it ends a run"),
        (lambda loss, tie: widest(loss[loss.isfinite()], tie), "leaving the NaN out shifts"),
        (lambda *a: (widest(*a)[0], widest(*a)[1] + 1), "no half-open end"),
        (lambda *a: (widest(*a)[0], widest(*a)[1] - widest(*a)[0] + 1), "first place and length"),
        (lambda loss, tie: widest(loss, tie * loss[loss.isfinite()].min()), "not a share"),
        (lambda loss, tie: widest(-loss, tie), "small is good"),
        (lambda *a: widest(*a)[0], "return 2 things"),
    ],
    "carried": [
        (lambda a, n, f, m, g: a, "alpha cannot be the same"),
        (lambda a, n, f, m, g: a * (n / f) / (m / g), "multiply by the one there"),
        (lambda a, n, f, m, g: a * f / n, "alpha' here"),
        (lambda a, n, f, m, g: a * m / g, "divide by the one here"),
        (lambda a, n, f, m, g: m / g, "that is the new ceiling"),
        (lambda a, n, f, m, g: a * m / n, "the forget sets differ"),
        (lambda a, n, f, m, g: a * f / g, "the training sets differ"),
        (lambda a, n, f, m, g: min(carried(a, n, f, m, g), m / g), "do not clip"),
        (lambda a, n, f, m, g: m / g - (n / f - a), "not the distance"),
        (lambda *a: int(carried(*a)), "whole number|expected"),
        (lambda a, n, f, m, g: a * f / (n - f) * (m - g) / g, "D_f included"),
        (lambda a, n, f, m, g: carried(a, n // f * f, f, m // g * g, g) + 0.5, "expected .* got"),
    ],
    "front": [
        (by(lambda a, b: a[0] >= b[0] and a[1] <= b[1]), "does not beat itself"),
        (first_only, "not only the first"),
        (by(lambda a, b: a[0] > b[0] and a[1] < b[1]), "is enough to beat"),
        (by(lambda a, b: a[0] >= b[0] and a[1] < b[1]), "equal in what is left"),
        (by(lambda a, b: a[0] > b[0] and a[1] <= b[1]), "equal in what is kept"),
        (by(lambda a, b: a[0] > b[0] or a[1] < b[1]), "beats nobody"),
        (by(lambda a, b: a[0] >= b[0] and a[1] >= b[1] and a != b), "small forgotten accuracy"),
        (by(lambda a, b: a[0] <= b[0] and a[1] <= b[1] and a != b), "large retained accuracy"),
        (lambda r, f: ~front(r, f), "those are the others"),
        (lambda r, f: front(r, f) | r.isnan() | f.isnan(), "on no front"),
        (best_sum, "many best cells"),
        (lambda r, f: front(r, f).nonzero()[:, 0], "not positions"),
        (lambda r, f: front(r, f).int(), "return a mask of True and False"),
    ],
}  # fmt: skip
