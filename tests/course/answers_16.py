"""Answers to the exercises of page 16."""

import torch


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def even_bins(
    p, y, bins, order=lambda rows: sorted(rows), key=lambda row, label: max(row), of=lambda d: abs(mean(d)),
    total=lambda parts, n: sum(m * e for m, e in parts) / n, side=mean, points=100.0, cut=None,
):  # fmt: skip
    """Answer by answer."""
    rows = []
    for row, label in zip(p.tolist(), y.tolist(), strict=True):
        right = row.index(max(row)) == label
        rows.append((key(row, label), key(row, label) - right, max(row) - right))
    at, parts = 0, []
    rows = order(rows)
    for k in range(bins):
        size = len(rows) // bins + (k < len(rows) % bins)
        part = [d for _, d, _ in rows[at : at + size]] if cut is None else cut(rows, k, bins)
        at += size
        if part:
            parts.append((len(part), of(part)))
    return points * total(parts, len(rows)), points * side([d for _, _, d in rows])


def bins_with(**how):
    return lambda *a: even_bins(*a, **how)


def of_width(rows, k, bins):
    return [d for s, d, _ in rows if min(int(bins * s), bins - 1) == k]


def by_ranks(p, y, bins):
    """The bin of an answer from its rank, in tensors."""
    n = len(y)
    ends = torch.tensor([n // bins + (k < n % bins) for k in range(bins)]).cumsum(0)
    sure = p.amax(1)
    rank = (sure[:, None] > sure).sum(1)
    place = (rank[:, None] >= ends).sum(1)
    surer = sure - (p.argmax(1) == y).to(p.dtype)
    sums = torch.zeros(bins, dtype=p.dtype).index_add(0, place, surer)
    return 100 * sums.abs().sum() / n, 100 * surer.mean()


def nan_bins(p, y, bins):
    sure, answer = p.max(1)
    surer = (sure - (answer == y).double())[sure.argsort()]
    parts = surer.tensor_split(bins)
    return 100 * float(sum(len(d) * d.mean().abs() for d in parts)) / len(y), 100 * float(surer.mean())


def sample_by_sample(a, b, group, k, power):
    """Right, but with a number for each sample and weight."""
    g = (b[:, :, None] * a[:, None]).abs() ** power
    sizes = torch.bincount(group, minlength=k).clamp(min=1)
    weights = torch.zeros(k, *g.shape[1:]).double().index_add(0, group, g) / sizes[:, None, None]
    return weights, torch.zeros(k, b.shape[1]).double().index_add(0, group, b.abs() ** power) / sizes[:, None]


def filled(mask):
    return max(int(mask.sum()), 1)


def groups(a, b, group, k, power, size=filled, fa=None, fb=None, fc=None, sets=None):
    """One group after another."""
    fa = fa or (lambda v: v.abs() ** power)
    fb = fb or (lambda v: v.abs() ** power)
    fc = fc or (lambda v: v.abs() ** power)
    weights, biases = [], []
    for g in range(k if sets is None else sets(group)):
        mask = group == g
        n = size(mask)
        weights.append(fb(b[mask]).T @ fa(a[mask]) / n)
        biases.append(fc(b[mask]).sum(0) / n)
    return torch.stack(weights), torch.stack(biases)


def groups_with(**how):
    return lambda *a: groups(*a, **how)


def by_einsum(a, b, group, k, power):
    belongs = (group[:, None] == torch.arange(k)).double()
    n = belongs.sum(0).clamp(min=1)
    left = torch.einsum("nk,no->nko", belongs / n, b.abs().pow(power))
    return torch.einsum("nko,ni->koi", left, a.abs().pow(power)), left.sum(0)


def raw(a, b, group, k):
    return groups(a, b, group, k, 1, fa=lambda v: v, fb=lambda v: v, fc=lambda v: v)


def cancelled(a, b, group, k, power):
    return tuple(v.abs() ** power for v in raw(a, b, group, k))


def unsigned(a, b, group, k, power):
    return raw(a, b, group, k) if power == 1 else groups(a, b, group, k, power)


def late_power(a, b, group, k, power):
    return tuple(v**power for v in groups(a, b, group, k, 1))


def two_means(a, b, group, k, power):
    m = [mean(b[group == g].abs() ** power) if (group == g).any() else 0 * b[0] for g in range(k)]
    n = [mean(a[group == g].abs() ** power) if (group == g).any() else 0 * a[0] for g in range(k)]
    return torch.stack([torch.outer(p, q) for p, q in zip(m, n, strict=True)]), torch.stack(m)


def whole(a, b, group, k, power):
    w, c = groups(a, b, 0 * group, 1, power)
    return w.expand(k, -1, -1), c.expand(k, -1)


def bias_of_weights(*a):
    w, _ = groups(*a)
    return w, w.sum(2)


def plain_bias(a, b, group, k, power):
    return groups(a, b, group, k, power)[0], groups(a, b, group, k, 1)[1]


def absolute_inputs(a, b, group, k, power):
    a.abs_()
    return groups(a, b, group, k, power)


def from_batches(means, size, variance=None, of=lambda m, s, t, b: m * m + (b - 1 / t) * s, last=lambda v: v):
    """m^2 + sigma^2, weight by weight."""
    found = []
    for column in means.T.tolist():
        t, m = len(column), mean(column)
        s = sum((g - m) ** 2 for g in column) / (t - 1)
        found.append(last(of(m, s, t, size)))
    return torch.tensor(found, dtype=torch.float64)


def batches_with(of, **how):
    return lambda *a: from_batches(*a, of=of, **how)


def by_pairs(means, size):
    """The mean of products of different batches is m^2, that of squares m^2 + sigma^2 / B."""
    t = len(means)
    squares = means.square().mean(0)
    products = (means.sum(0) ** 2 - means.square().sum(0)) / (t * (t - 1))
    return products + size * (squares - products)


def q(m, s, t):
    return m * m + (t - 1) / t * s


def pooled_variance(means, size):
    return means.square().mean(0) + (size - 1) * means.var(0).mean()


def in_place(means, size):
    square = means.square().mean(0)
    means -= means.mean(0)
    return square + (size - 1) * means.square().sum(0) / (len(means) - 1)


RIGHT = {"even_bins": even_bins, "group_importances": groups, "from_batches": from_batches}
STYLES = {"even_bins": by_ranks, "group_importances": by_einsum, "from_batches": by_pairs}
WRONG = {
    "even_bins": [
        (bins_with(cut=of_width), "not of equal width"),
        (bins_with(order=list), "then cut"),
        (bins_with(order=lambda rows: sorted(rows, reverse=True)), "the least sure first"),
        (bins_with(total=lambda parts, n: mean(e for _, e in parts)), "by the number of its answers"),
        (bins_with(total=lambda parts, n: sum(e for _, e in parts)), "not the sum over bins"),
        (bins_with(total=lambda parts, n: max(e for _, e in parts)), "not the worst"),
        (bins_with(of=lambda d: mean(map(abs, d))), "mean first"),
        (bins_with(of=mean), "do not cancel"),
        (bins_with(of=lambda d: mean(d) ** 2), "no square"),
        (bins_with(of=lambda d: mean(d) ** 2, total=lambda ps, n: (sum(m * e for m, e in ps) / n) ** 0.5),
         "no root"),
        (bins_with(key=lambda row, label: row[label]), "not of the label"),
        (bins_with(side=lambda d: -mean(d)), "surer than right is positive"),
        (bins_with(side=lambda d: abs(mean(d))), "has a sign"),
        (bins_with(side=lambda d: mean(map(abs, d))), "lets answers cancel"),
        (bins_with(side=sum), "a mean, too"),
        (bins_with(points=1.0), "in points"),
        (nan_bins, "a mean over nothing is NaN"),
        (lambda *a: even_bins(*a)[::-1], "first the calibration error"),
        (lambda *a: even_bins(*a)[0], "return 2 things"),
        (bins_with(total=lambda parts, n: 0.5), "expected .* got"),
    ],
    "group_importances": [
        (cancelled, "signs cancel"),
        (unsigned, "has no sign"),
        (groups_with(size=len), "not over all N"),
        (groups_with(size=lambda mask: 1), "not their sum"),
        (whole, "each group for itself"),
        (lambda a, b, g, k, power: groups(a, b, g, k, 1), "SSD takes squares"),
        (lambda a, b, g, k, power: groups(a, b, g, k, 2), "LFSSD takes none"),
        (groups_with(fa=torch.abs), "both factors, a and b"),
        (groups_with(fb=torch.abs), "both factors, b and a"),
        (late_power, "before the mean"),
        (two_means, "not the product of two means"),
        (lambda *a: (groups(*a)[0].mT, groups(*a)[1]), "outputs before inputs"),
        (plain_bias, "the bias has the power"),
        (bias_of_weights, "no input enters it"),
        (groups_with(size=lambda mask: mask.sum()), "not 0 / 0"),
        (groups_with(sets=lambda group: int(group.max()) + 1), "that no sample belongs to"),
        (lambda *a: groups(*a)[::-1], "first the weights"),
        (sample_by_sample, "right, but it writes a number for each sample and weight"),
        (absolute_inputs, "the arguments have changed"),
        (lambda *a: groups(*a)[0], "return 2 things"),
        (lambda *a: (groups(*a)[0].sum(), groups(*a)[1]), "expected the shape"),
    ],
    "from_batches": [
        (batches_with(lambda m, s, t, b: b * q(m, s, t)), "right for a mean of 0"),
        (batches_with(lambda m, s, t, b: q(m, s, t)), "of single samples it is larger"),
        (batches_with(lambda m, s, t, b: q(m, s, t) + s / b - s), "more noise, not less"),
        (batches_with(lambda m, s, t, b: q(m, s, t) + b * s), "in the mean of squares already"),
        (batches_with(lambda m, s, t, b: m * m + b * s), "take v / T away"),
        (batches_with(lambda m, s, t, b: q(m, s, t) + (b - 1) * (t - 1) / t * s), "T - 1, not T"),
        (batches_with(lambda m, s, t, b: b * s), "the mean belongs to it"),
        (batches_with(lambda m, s, t, b: m * m), "not only their mean"),
        (batches_with(lambda m, s, t, b: (b - 1) * s), "what of the rest"),
        (batches_with(lambda m, s, t, b: q(m, s, t) + (b - 1) * s**0.5), "the variance, not its root"),
        (batches_with(lambda m, s, t, b: q(m, s, t) + (b**0.5 - 1) * s), "not with its root"),
        (batches_with(lambda m, s, t, b: q(m, s, t) + (b * b - 1) * s), "not with its square"),
        (lambda *a: from_batches(*a).sqrt(), "the mean square, not its root"),
        (lambda g, b: b * from_batches(g, b), "sum over samples"),
        (pooled_variance, "its own variance"),
        (batches_with(lambda m, s, t, b: q(m, s, t) + (t - 1) * s), "T counts, not the size"),
        (lambda g, b: len(g) * from_batches(g, b), "not their sum"),
        (batches_with(lambda m, s, t, b: q(m, s, t) - (b - 1) * s), "not taken away"),
        (in_place, "the arguments have changed"),
        (lambda *a: from_batches(*a).mean(), "expected the shape"),
        (lambda *a: from_batches(*a).tolist(), "return a tensor, not list"),
    ],
}  # fmt: skip
