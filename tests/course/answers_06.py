"""Answers to the exercises of page 06."""

import math

import torch


def spread(g, n):
    return g.std(0) / g.mean(0) * (1 / n - 1 / len(g)) ** 0.5


def weights(n, size):
    parts = [min(size, n - start) for start in range(0, n, size)]
    return torch.tensor([1 / len(parts) / p for p in parts for _ in range(p)], dtype=torch.float64)


def per_image(of):
    """``of(images in the batch, batches, size)`` for each image."""

    def weigh(n, size):
        parts = [min(size, n - start) for start in range(0, n, size)]
        return torch.tensor([of(p, len(parts), size) for p in parts for _ in range(p)], dtype=torch.float64)

    return weigh


def dropped(n, size):
    full = n // size * size
    return (
        torch.tensor([1 / full] * full + [0.0] * (n - full), dtype=torch.float64) if full else torch.zeros(n)
    )


def chunked(n, size):
    parts = torch.arange(n).chunk(-(-n // size))
    return torch.cat([torch.full((len(p),), 1 / len(p) / len(parts), dtype=torch.float64) for p in parts])


def matched(predicted, y, forget_y, weigh=lambda c, y, forget_y: (forget_y == c).double().mean()):
    total = 0.0
    for c in forget_y.unique():
        mine = y == c
        total += weigh(c, y, forget_y) * (
            100 * (predicted == y)[mine].double().mean() if mine.any() else math.nan
        )
    return float(total)


def all_classes(predicted, y, forget_y):
    return sum((forget_y == c).double().mean() * 100 * (predicted == y)[y == c].double().mean()
               for c in range(int(max(y.max(), forget_y.max())) + 1))  # fmt: skip


def sorted_cases(
    mine, nothing, gold, slack, by=lambda m, n, g: abs(n - g) - abs(m - g), alike=lambda v, s: v <= s
):
    counts = [0, 0, 0]
    for m, n, g in zip(mine.tolist(), nothing.tolist(), gold.tolist(), strict=True):
        d = by(m, n, g)
        if d == d:
            counts[2 if alike(abs(d), slack) else 0 if d > 0 else 1] += 1
    return torch.tensor(counts)


def case_by(of):
    return lambda *a: sorted_cases(*a, by=of)


def merged(place):
    def counts(*a):
        near, far, alike = sorted_cases(*a).tolist()
        return torch.tensor([near + alike, far, 0] if place == 0 else [near, far + alike, 0])

    return counts


def ordered(drawn, forget):
    gone = set(forget.tolist())
    return torch.tensor(
        [k for k in drawn.tolist() if k not in gone] + [k for k in drawn.tolist() if k in gone]
    )


def overwriting(drawn, forget):
    drawn[:] = ordered(drawn, forget)
    return drawn


def rest(drawn, forget):
    return drawn[~torch.isin(drawn, forget)]


RIGHT = {
    "spread": spread,
    "image_weights": weights,
    "matched_accuracy": matched,
    "beats_nothing": sorted_cases,
    "reference_order": ordered,
}
WRONG = {
    "spread": [
        (lambda g, n: spread(g, n).nanmean(), "not one for all"),
        (lambda g, n: g.std(0) / g.mean(0) / n**0.5, "D_f = D has ratio 1"),
        (lambda g, n: g.std(0) / g.mean(0) * (1 - n / len(g)) ** 0.5 / n, "four times the rows"),
        (lambda g, n: g.std(0) * (1 / n - 1 / len(g)) ** 0.5, "relative to the mean"),
        (lambda g, n: g.std(0) / g.mean(0) / n**0.5 * (1 - n / len(g)), "with the root"),
        (lambda g, n: g.std(0) / g.mean(0) / n**0.5 * (n / len(g)) ** 0.5, "not N_f/N"),
        (lambda g, n: g.var(0) / g.mean(0) ** 2 * (1 / n - 1 / len(g)), "not the variance"),
        (lambda g, n: g.std(0, correction=0) / g.mean(0) * (1 / n - 1 / len(g)) ** 0.5, "N - 1 in it"),
        (lambda g, n: spread(g, n).nan_to_num(0), "no ratio: NaN"),
        (lambda g, n: g.std(0) / g.mean(0) * (1 - n / len(g)) ** 0.5, "varies less than one row"),
        (lambda g, n: g.std(1) / g.mean(1) * (1 / n - 1 / len(g)) ** 0.5, "dim 0"),
        (lambda g, n: (g.std(0) / g.mean(0) + 1) * (1 / n - 1 / len(g)) ** 0.5, "expected .* got"),
    ],
    "image_weights": [
        (lambda n, size: torch.full((n,), 1 / n), "that would be per sample"),
        (per_image(lambda p, k, size: 1 / p), "a mean over the batches as well"),
        (per_image(lambda p, k, size: 1 / k), "a mean within the batch as well"),
        (per_image(lambda p, k, size: 1 / k / size), "its own images"),
        (chunked, "split, not chunk"),
        (dropped, "the short last batch counts as well"),
        (lambda n, size: weights(n, size).flip(0), "the short batch is the last"),
        (lambda n, size: weights(n, size) * -(-n // size) / max(n // size, 1), "counts as one batch"),
        (lambda n, size: torch.tensor([weights(n, size)[s : s + size].sum() for s in range(0, n, size)]),
         "not for each batch"),
        (lambda n, size: weights(n, size).tolist(), "return a tensor, not list"),
        (lambda n, size: torch.tensor([1 / size / (n // size)] * n), "ZeroDivisionError in line"),
    ],
    "matched_accuracy": [
        (lambda p, y, f: 100 * (p == y).double().mean(), "not all of them alike"),
        (lambda p, y, f: 100 * (p == y)[torch.isin(y, f)].double().mean(), "not as often as in the test set"),
        (lambda p, y, f: matched(p, y, f, lambda c, y, f: 1 / len(f.unique())), "not all alike"),
        (lambda p, y, f: matched(p, y, f) / 100, "in percent"),
        (lambda p, y, f: 100 - matched(p, y, f), "the share that is wrong"),
        (all_classes, "must stay out"),
        (lambda p, y, f: matched(p, y, f[torch.isin(f, y)]), "do not leave it out"),
        (lambda p, y, f: sum((f == c).double().mean() * 100 * (p == y)[y == c].double().mean()
                             for c in f.unique() if (y == c).any()), "NaN, not 0"),
        (lambda p, y, f: matched(p, y, f, lambda c, y, f: (f == c).sum() / len(y)), "add up to 1"),
        (lambda p, y, f: matched(p, y, f, lambda c, y, f: (f == c).sum()), "a mean, not a sum"),
        (lambda p, y, f: matched(y, p, f), "called so"),
        (lambda p, y, f: torch.tensor([100 * (p == y)[y == c].double().mean() for c in f.unique()]),
         "return one number"),
    ],
    "beats_nothing": [
        (case_by(lambda m, n, g: n - m), "lower is not better"),
        (case_by(lambda m, n, g: m - n), "higher is not better"),
        (case_by(lambda m, n, g: (n - g) - (m - g)), "lower is not better|as far as below"),
        (lambda m, n, g, s: sorted_cases(m, n, g.nanmean().expand(len(g)), s),
         "case, not with its mean|expected"),
        (lambda *a: sorted_cases(*a)[[1, 0, 2]], "nearer first"),
        (merged(0), "alike, not nearer"),
        (merged(1), "alike, not further"),
        (lambda *a: sorted_cases(*a, alike=lambda v, s: v < s), "exactly at the slack|alike, not further"),
        (lambda m, n, g, s: sorted_cases(m, n, g, 0.0), "say nothing: use it"),
        (lambda m, n, g, s: sorted_cases(m, n, g, s) + torch.tensor([0, 0, int((m + n + g).isnan().sum())]),
         "leave it out"),
        (lambda m, n, g, s: sorted_cases(m, n, g, s) / len(m), "return whole numbers|not shares"),
        (lambda m, n, g, s: sorted_cases(*(v.nanmean()[None] for v in (m, n, g)), s), "expected .* got"),
        (lambda *a: sorted_cases(*a)[:2], r"expected the shape \[3\]"),
    ],
    "reference_order": [
        (lambda drawn, f: drawn, "not in its place"),
        (lambda drawn, f: ordered(drawn, f).roll(len(f)), "first D_r, then D_f"),
        (lambda drawn, f: rest(drawn, f), "D_f belongs to it"),
        (lambda drawn, f: torch.cat([rest(drawn, f).sort().values, drawn[torch.isin(drawn, f)]]),
         "D_r in the order drawn"),
        (lambda drawn, f: torch.cat([rest(drawn, f).sort().values, f.sort().values]),
         "D_r and D_f in the order"),
        (lambda drawn, f: torch.cat([rest(drawn, f), f.sort().values]), "D_f, too.*not as stored"),
        (lambda drawn, f: torch.cat([rest(drawn, f), f]), "not in that of `forget`"),
        (lambda drawn, f: torch.cat([drawn, f]), "expected the shape|every position once"),
        (lambda drawn, f: ordered(drawn.argsort(), f), "comes k-th"),
        (lambda drawn, f: torch.isin(drawn, f), "not a mask"),
        (lambda drawn, f: ordered(drawn, f).flip(0), "not backwards"),
        (lambda drawn, f: ordered(drawn, f).tolist(), "return a tensor, not list"),
        (overwriting, "the arguments have changed"),
        (lambda drawn, f: drawn[torch.isin(drawn, f)], "D_r comes before it"),
        (lambda drawn, f: ordered(drawn, f).double(), "return whole numbers"),
    ],
}  # fmt: skip
