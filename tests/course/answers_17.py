"""Answers to the exercises of page 17."""

import math
from fractions import Fraction

import torch


def mean(values):
    return sum(values) / len(values)


def weighted(column, n):
    return sum(v * m for v, m in zip(column, n, strict=True)) / sum(n)


def above(ratio, threshold):
    return ratio > threshold


def of_own(own, joint, p):
    return len(own & joint) / len(own)


def still_chosen(i_f, n, i_d, alpha, join=weighted, over=above, share=of_own, none=math.nan, lenient=1.0):
    """With sets of weights."""
    d, columns, sizes = i_d.tolist(), i_f.T.tolist(), n.tolist()
    joint = {i for i, c in enumerate(columns) if over(join(c, sizes), lenient * alpha * d[i])}
    own = [{i for i, v in enumerate(row) if over(v, alpha * d[i])} for row in i_f.tolist()]
    return torch.tensor([share(each, joint, len(d)) if each else none for each in own], dtype=torch.float64)


def still_with(**how):
    return lambda *a: still_chosen(*a, **how)


def by_masks(i_f, n, i_d, alpha):
    joint = (i_f * (n / n.sum().double())[:, None]).sum(0) / i_d > alpha
    own = i_f / i_d > alpha
    return (own & joint).double().sum(1).div(own.sum(1))


def votes(i_f, n, i_d, alpha):
    own = i_f > alpha * i_d
    joint = 2 * own.sum(0) > len(own)
    return (own & joint).sum(1).double() / own.sum(1)


def together(i_f, n, i_d, alpha):
    own, joint = i_f > alpha * i_d, n.double() @ i_f > alpha * n.sum() * i_d
    return ((own & joint).sum() / own.sum().double()).repeat(len(own))


def easier(i_f, n, i_d, alpha):
    return still_chosen(i_f, n, i_d, alpha, lenient=1 / len(n))


def not_below(i_f, n, i_d, alpha):
    return still_chosen(i_f, n, i_d, alpha, over=lambda v, t: v >= t and t > 0)


def without_importance(i_f, n, i_d, alpha):
    return still_chosen(i_f, n, i_d, alpha, over=lambda v, t: v > t or t == 0)


def scaled(i_f, n, i_d, alpha):
    i_f /= i_d.clamp(min=1e-12)
    return still_chosen(i_f, n, torch.ones_like(i_d), alpha)


def fewest(n, total, alpha, remaining, sizes=lambda n, m: [n // m + (k < n % m) for k in range(m)],
           room=lambda size, left, alpha: alpha * size < left, start=1,
           none=lambda n: 0, of=all, gone=None):  # fmt: skip
    gone = gone or (lambda parts, k: sum(parts[:k]))
    for m in range(start, n + 1):
        parts = sizes(n, m)
        if of(room(s, total - remaining * gone(parts, k), alpha) for k, s in enumerate(parts)):
            return m
    return none(n)


def fewest_with(**how):
    return lambda *a: fewest(*a, **how)


def by_fractions(n, total, alpha, remaining):
    """The lowest ceiling of each split, exact."""

    def lowest(m):
        images, left, ceilings = list(range(n)), total, []
        while images:
            size = -(-len(images) // m)
            images, m = images[size:], m - 1
            ceilings.append(Fraction(left, size))
            left -= size if remaining else 0
        return min(ceilings)

    return next((m for m in range(1, n + 1) if lowest(m) > Fraction(alpha)), 0)


def last_alone(n, total, alpha, remaining):
    def room(m):
        last = n // m
        return alpha * last < total - remaining * (n - last)

    return next((m for m in range(1, n + 1) if room(m)), 0)


def fractional(n, total, alpha, remaining):
    return fewest(n, total, alpha, remaining, sizes=lambda n, m: [n / m] * m)


def of_size(*a):
    m = fewest(*a)
    return -(-a[0] // m) if m else 0


def relapse(
    accuracy, own=0, first=0, last=1, end=lambda rows: rows[-1], late=lambda after, own: after - own,
    early=lambda start, before: start - before, total=mean, before=lambda rows, k: rows[0],
):  # fmt: skip
    """Network by network, request by request."""
    found = []
    for rows in accuracy.tolist():
        t = len(rows[0])
        back = [late(end(rows)[k], rows[k + 1 - own][k]) for k in range(t - last)]
        lost = [early(before(rows, k)[k], rows[k + first][k]) for k in range(1, t)]
        found.append([total(each) if each else 0.0 for each in (back, lost)])
    return tuple(torch.tensor(found, dtype=torch.float64).T)


def relapse_with(**how):
    return lambda a: relapse(a, **how)


def by_diagonals(accuracy):
    t = accuracy.shape[2]
    k = torch.arange(t)
    back = (accuracy[:, t, :] - accuracy[:, k + 1, k])[:, : t - 1]
    lost = (accuracy[:, 0, :] - accuracy[:, k, k])[:, 1:]
    return torch.nan_to_num(back.mean(1)), torch.nan_to_num(lost.mean(1))


def with_last(a):
    t = a.shape[2]
    return relapse(a)[0] * (t - 1) / t, relapse(a)[1]


def with_first(a):
    t = a.shape[2]
    return relapse(a)[0], relapse(a)[1] * (t - 1) / t


def worst_moment(a):
    back = []
    for rows in a.tolist():
        t = len(rows[0])
        each = [max(rows[s][k] for s in range(k + 1, t + 1)) - rows[k + 1][k] for k in range(t - 1)]
        back.append(mean(each) if each else 0.0)
    return torch.tensor(back, dtype=torch.float64), relapse(a)[1]


def all_to_come(a):
    t = a.shape[2]
    lost = [[rows[0][k] - rows[s][k] for s in range(1, t) for k in range(s, t)] for rows in a.tolist()]
    return relapse(a)[0], torch.tensor([mean(v) if v else 0.0 for v in lost], dtype=torch.float64)


def since_the_original(a):
    end, start = (relapse(a, end=lambda rows, t=t: rows[t], late=lambda there, own: there) for t in (-1, 0))
    return end[0] - start[0], relapse(a)[1]


def pooled(a):
    return tuple(v.mean().repeat(len(a)) for v in relapse(a))


def not_a_number(a):
    return tuple(v if a.shape[2] > 1 else math.nan * v for v in relapse(a))


def worn(a):
    a -= a[:, :1].clone()
    return relapse(a)


RIGHT = {"still_chosen": still_chosen, "fewest_parts": fewest, "relapse": relapse}
STYLES = {"still_chosen": by_masks, "fewest_parts": by_fractions, "relapse": by_diagonals}
WRONG = {
    "still_chosen": [
        (still_with(join=lambda c, n: mean(c)), "weight each by its number"),
        (still_with(join=lambda c, n: sum(c)), "a sum, or the largest"),
        (still_with(join=lambda c, n: max(c)), "a sum, or the largest"),
        (still_with(join=lambda c, n: min(c)), "not every request"),
        (votes, "not votes"),
        (easier, "one alpha for all"),
        (not_below, "exactly alpha"),
        (without_importance, "0 is not above"),
        (still_with(share=lambda own, joint, p: len(own & joint) / p, none=0.0), "not of all weights"),
        (still_with(share=lambda own, joint, p: of_own(joint, own, p), none=0.0), "the joint one selects"),
        (still_with(share=lambda own, joint, p: of_own(own | joint, own & joint, p), none=0.0), "either sel"),
        (still_with(share=lambda own, joint, p: len(own - joint) / len(own)), "not what it leaves out"),
        (together, "not for all together"),
        (still_with(share=lambda own, joint, p: len(joint) / len(own), none=math.inf), "not how many in all"),
        (still_with(share=lambda own, joint, p: len(own & joint), none=0.0), "not a number of weights"),
        (still_with(share=lambda own, joint, p: 100 * len(own & joint) / len(own)), "not percent"),
        (still_with(none=0.0), "NaN, not 0"),
        (still_with(none=1.0), "NaN, not 1"),
        (scaled, "the arguments have changed"),
        (lambda *a: still_chosen(*a).nanmean(), "expected the shape"),
        (lambda *a: still_chosen(*a).tolist(), "return a tensor, not list"),
    ],
    "fewest_parts": [
        (fewest_with(room=lambda size, left, alpha: alpha * size <= left), "it has to be below"),
        (fractional, "samples are whole"),
        (last_alone, "the largest has the lowest ceiling"),
        (fewest_with(of=any), "one with room is not enough"),
        (lambda n, total, alpha, remaining: fewest(n, total, alpha, False), "D shrinks with each part"),
        (lambda n, total, alpha, remaining: fewest(n, total, alpha, True), "only if it is"),
        (fewest_with(gone=lambda parts, k: sum(parts[: k + 1])), "still in D when it comes"),
        (fewest_with(gone=lambda parts, k: sum(parts)), "those after it"),
        (fewest_with(gone=lambda parts, k: parts[k - 1] if k else 0), "not only one"),
        (fewest_with(sizes=lambda n, m: [(n + k) // m for k in range(m)]), "the larger parts come first"),
        (of_size, "not their size"),
        (lambda *a: max(fewest(*a) - 1, 0), "of the cuts"),
        (fewest_with(start=2), "one part is possible"),
        (lambda n, total, alpha, remaining: math.ceil(alpha * n / total), "in proportion to alpha"),
        (fewest_with(none=lambda n: n), "0, not n"),
        (fewest_with(none=lambda n: n + 1), "no part without samples"),
        (lambda n, *a: n if fewest(n, *a) else 0, "not single samples"),
        (fewest_with(none=lambda n: None), r"nothing came back \(None\)"),
        (lambda *a: float("nan"), "expected 2, got nan"),
        (lambda *a: [fewest(*a)], "return one number, not list"),
    ],
    "relapse": [
        (with_last, "nothing comes after the last"),
        (with_first, "nothing comes before the first"),
        (relapse_with(own=1), "not row k$"),
        (relapse_with(first=1), r"not row k \+ 1"),
        (relapse_with(own=1, first=1), "both rows"),
        (relapse_with(end=lambda rows: rows[-2]), "the last row"),
        (worst_moment, "not at the worst moment"),
        (relapse_with(late=lambda after, own: after), "not what is there at the end"),
        (relapse_with(early=lambda start, before: before), "not what is there then"),
        (relapse_with(before=lambda rows, k: rows[k - 1]), "not against the request before"),
        (all_to_come, "its own row alone"),
        (relapse_with(late=lambda after, own: own - after), "what came back is positive"),
        (relapse_with(early=lambda start, before: before - start), "what was lost is positive"),
        (relapse_with(late=lambda after, own: abs(after - own)), "it may have gone further"),
        (relapse_with(late=lambda after, own: max(after - own, 0)), "no cut at 0"),
        (relapse_with(early=lambda start, before: max(start - before, 0)), "what was lost has a sign$"),
        (relapse_with(early=lambda start, before: abs(start - before)), r"no \|.\|"),
        (relapse_with(total=sum), "not their sum"),
        (pooled, "not for all together"),
        (since_the_original, "not the original"),
        (not_a_number, "so 0 and 0"),
        (lambda a: relapse(a)[::-1], "first what came back"),
        (worn, "the arguments have changed"),
        (lambda a: relapse(a)[0], "return 2 things"),
        (lambda a: relapse(a, before=lambda rows, k: rows[-1]), "expected .* got"),
    ],
}  # fmt: skip
