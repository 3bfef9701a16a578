"""Answers to the exercises of page 05."""

import math

import torch


def right_of(p, y, where):
    return 100 * (p == y)[where].double().mean().item()


def gap(p, y, s, f, b):
    return right_of(p, y, (s != f) & (s != b)) - right_of(p, y, s == b)


def mean(values):
    return sum(values) / len(values) if values else math.nan


def sub_class_loss(before, after, y, sub, c):
    return right_of(before, y, sub == c) - right_of(after, y, sub == c)


def family(y, sub, forgotten):
    parent = {s: c for s, c in zip(sub.tolist(), y.tolist(), strict=True)}
    same = [s for s in parent if parent[s] == parent[forgotten] and s != forgotten]
    return same, [s for s in parent if parent[s] != parent[forgotten]]


def losses(before, after, y, sub, forgotten, loss=sub_class_loss, groups=family):
    siblings, others = groups(y, sub, forgotten)
    return {
        name: mean([loss(before, after, y, sub, c) for c in group])
        for name, group in {"forgotten": [forgotten], "siblings": siblings, "others": others}.items()
    }


def pooled(before, after, y, sub, forgotten):
    siblings, others = family(y, sub, forgotten)
    masks = {"forgotten": sub == forgotten, "siblings": torch.isin(sub, torch.tensor(siblings)),
             "others": torch.isin(sub, torch.tensor(others))}  # fmt: skip
    return {name: right_of(before, y, mask) - right_of(after, y, mask) for name, mask in masks.items()}


def unguarded(before, after, y, sub, forgotten):
    siblings, others = family(y, sub, forgotten)
    groups = {"forgotten": [forgotten], "siblings": siblings, "others": others}
    return {k: sum(sub_class_loss(before, after, y, sub, c) for c in v) / len(v) for k, v in groups.items()}


def of_the_page(y, sub, f):
    pair = {0: 8, 8: 0, 1: 7, 7: 1, 2: 6, 6: 2, 3: 5, 5: 3, 4: 9, 9: 4}[f]
    return [pair], [c for c in range(10) if c not in (f, pair)]


def by_family(change):
    return lambda b, a, y, s, f: losses(b, a, y, s, f, groups=lambda y, s, f: change(*family(y, s, f), f))


def by_loss(loss):
    return lambda *a: losses(*a, loss=loss)


def price(retained, forgotten, original, most, served=all, own=mean, best=min, ok=lambda f, m: f <= m):
    runs = range(len(original))
    each, common = [], []
    for k in runs:
        found = [
            float(original[k] - r) for r, f in zip(retained[k], forgotten[k], strict=True) if ok(f, most)
        ]
        each.append(best(found) if found else math.nan)
    for j in range(retained.shape[1]):
        if served([bool(ok(forgotten[k, j], most)) for k in runs]):
            common.append(mean([float(original[k] - retained[k, j]) for k in runs]))
    return torch.tensor([own(each), min(common) if common else math.nan], dtype=torch.float64)


def spare(t, f, d, s, a, lam, needs=max):
    rows = zip(*(v.tolist() for v in (t, f, d, s)), strict=True)
    return torch.tensor([w * min(lam * needs(i_d, i_s) / i_f, 1.0) if i_f > a * needs(i_d, i_s) > 0 else w
                         for w, i_f, i_d, i_s in rows], dtype=torch.float64)  # fmt: skip


def by_needs(needs):
    return lambda *a: spare(*a, needs=needs)


def in_place(t, f, d, s, a, lam):
    need = torch.maximum(d, s)
    mask = (f > a * need) & (need > 0)
    t[mask] *= (lam * need / f).clamp(max=1)[mask]
    return t


def with_mask(mask, ratio):
    return lambda t, f, d, s, a, lam: torch.where(mask(f, d, s, a), t * ratio(f, d, s, lam), t)


def most(d, s):
    return torch.maximum(d, s)


def above(f, d, s, a):
    return (f > a * most(d, s)) & (most(d, s) > 0)


RIGHT = {"sibling_gap": gap, "group_losses": losses, "prices": price, "spared": spare}
WRONG = {
    "sibling_gap": [
        (lambda p, y, s, f, b: gap(p, y, s, 8, 0), "on the page"),
        (lambda *a: -gap(*a), "the sign: positive"),
        (lambda *a: abs(gap(*a)), "the sign matters"),
        (lambda p, y, s, f, b: right_of(p, y, s != b) - right_of(p, y, s == b), "neither group"),
        (lambda p, y, s, f, b: right_of(p, y, s != f) - right_of(p, y, s == b), "the sibling not among them"),
        (lambda p, y, s, f, b: gap(p, y, s, b, f), "not the forgotten sub-class"),
        (lambda *a: gap(*a) / 100, "in points"),
        (lambda p, y, s, f, b: gap(p, s, s, f, b), "predicted == y"),
        (lambda p, y, s, f, b: torch.tensor([right_of(p, y, s == c)
                                      for c in s.unique() if c not in (f, b)]).mean()
         - right_of(p, y, s == b), "counts alike"),
        (lambda p, y, s, f, b: right_of(p, y, s == b), "expected"),
    ],
    "group_losses": [
        (pooled, "every sub-class counts alike"),
        (unguarded, "no siblings.*ZeroDivisionError in line"),
        (lambda *a: {k: -v for k, v in losses(*a).items()}, "before minus after"),
        (lambda *a: {k: abs(v) for k, v in losses(*a).items()}, "no absolute value"),
        (lambda *a: {k: v / 100 for k, v in losses(*a).items()}, "in points"),
        (by_loss(lambda b, a, y, s, c: 100 - right_of(a, y, s == c)), "compare with `before`"),
        (by_loss(lambda b, a, y, s, c: 100 - right_of(a, b, s == c)), "compare with y"),
        (lambda *a: losses(*a, groups=of_the_page), r"share the \*class\*"),
        (by_family(lambda same, rest, f: (same[:1], rest)), "take them all|expected"),
        (by_family(lambda same, rest, f: ([f, *same], rest)), "no sibling of itself"),
        (by_family(lambda same, rest, f: (same, same + rest)), "the siblings are not among the others"),
        (by_family(lambda same, rest, f: (same, [f, *rest])),
         "the forgotten sub-class is not among the others"),
        (lambda *a: {k: 0.0 if math.isnan(v) else v for k, v in losses(*a).items()}, "NaN, not 0"),
        (lambda *a: list(losses(*a).values()), "return a dict by name, not list"),
        (lambda *a: {k: v for k, v in losses(*a).items() if v == v}, "lacks ..siblings"),
    ],
    "prices": [
        (lambda *a: price(*a, best=max), "the least price"),
        (lambda *a: price(*a, ok=lambda f, m: f < m), "the limit itself is allowed"),
        (lambda *a: price(*a, ok=lambda f, m: f >= m), "how much is left"),
        (lambda *a: -price(*a), "positive where accuracy is lost"),
        (lambda *a: price(*a).clamp(min=0), "a gain is a negative price"),
        (lambda *a: price(*a).nan_to_num(0.0), "has no price: NaN, not 0"),
        (lambda *a: price(*a, own=lambda each: mean([v for v in each if v == v])), "do not leave it out"),
        (lambda *a: price(*a, best=lambda found: found[-1]), "keeps most, not the largest"),
        (lambda *a: price(*a)[:1].repeat(2), "second, not each its own"),
        (lambda *a: price(*a)[1:].repeat(2), "first, not one for all"),
        (lambda *a: price(*a).flip(0), "first each its own"),
        (lambda *a: price(*a, served=any), "not one of them"),
        (lambda *a: price(*a, served=lambda gone: sum(gone) > len(gone) / 2), "every run, not most"),
        (lambda r, f, o, m: torch.stack([price(r, f, o, m)[0], price(r, f.mean(0).expand_as(f), o, m)[1]]),
         "not their mean"),
        (lambda *a: float(price(*a)[0]), "return a tensor, not float"),
    ],
    "spared": [
        (by_needs(lambda d, s: d), "plays no part"),
        (by_needs(lambda d, s: s), r"D \*or\* the sibling"),
        (by_needs(min), "not the smaller"),
        (by_needs(lambda d, s: d + s), "not their sum"),
        (by_needs(lambda d, s: (d + s) / 2), "not their mean"),
        (with_mask(above, lambda f, d, s, lam: (lam * d / f).clamp(max=1)), "the factor, too"),
        (with_mask(lambda f, d, s, a: f > a * d, lambda f, d, s, lam: (lam * most(d, s) / f).clamp(max=1)),
         "the selection, too"),
        (with_mask(above, lambda f, d, s, lam: 0 * f), "not set to 0"),
        (with_mask(above, lambda f, d, s, lam: lam * most(d, s) / f), "no weight may grow"),
        (with_mask(lambda f, d, s, a: (f >= a * most(d, s)) & (most(d, s) > 0),
                   lambda f, d, s, lam: (lam * most(d, s) / f).clamp(max=1)), "a tie is not selected"),
        (with_mask(lambda f, d, s, a: f > a * most(d, s),
                   lambda f, d, s, lam: (lam * most(d, s) / f).clamp(max=1)), "keeps its value"),
        (with_mask(lambda f, d, s, a: (f > a * d) & (f > a * s) & (d > 0),
                   lambda f, d, s, lam: (lam * most(d, s) / f).clamp(max=1)), "needed is what D"),
        (lambda t, f, d, s, a, lam: t * (lam * most(d, s) / f).clamp(max=1), "the selected weights alone"),
        (in_place, "the arguments have changed"),
        (lambda *a: spare(*a).tolist(), "return a tensor, not list"),
    ],
}  # fmt: skip
