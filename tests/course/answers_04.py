"""Answers to the exercises of page 04."""

import torch


def accuracies(p, y, n):
    return torch.tensor([100 * ((p == y) & (y == c)).sum().item() / max(int((y == c).sum()), 1)
                         if (y == c).any() else float("nan") for c in range(n)])  # fmt: skip


def means(p, y, n):
    return [100 * sum(bool(a == b) for a, b in zip(p, y, strict=True) if b == c) / int((y == c).sum())
            for c in range(n)]  # fmt: skip


def average(values):
    there = [v for v in values if v == v]
    return sum(there) / len(there) if there else float("nan")


def lost(mine, other, of=lambda a, b: b - a):
    """Network by network, case by case."""
    return average([average([of(a, b) for a, b in zip(*rows, strict=True)])
                    for rows in zip(mine.tolist(), other.tolist(), strict=True)])  # fmt: skip


def both(of):
    return lambda mine, original, gold: torch.tensor(
        [of(mine, original), of(mine, gold)], dtype=torch.float64
    )


def flat(table):
    return average(table.flatten().tolist())


def filled(mine, original, gold):
    mine[mine.isnan()] = 0.0
    return both(lost)(mine, original, gold)


def rows_and_columns(mine, other):
    return average([average((other - mine)[:, k].tolist()) for k in range(mine.shape[1])])


def complete(mine, original, gold):
    hole = torch.where((mine + original + gold).isnan(), float("nan"), 0.0)
    return both(lost)(mine + hole, original + hole, gold + hole)


def histogram(answers, n):
    return [sum(1 for a in answers.tolist() if a == k) / len(answers) for k in range(n)]


def apart(mine, gold, y, forgotten, n):
    p, q = (histogram(answers[y == forgotten], n) for answers in (mine, gold))
    return sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2


def of_differences(of):
    return lambda m, g, y, f, n: of([a - b for a, b in zip(histogram(m[y == f], n), histogram(g[y == f], n),
                                                           strict=True)])  # fmt: skip


def sure(z):
    return (z.exp() / z.exp().sum(1, keepdim=True)).amax(1)


def doubt(z, y, forgotten, of=sure):
    confidence = of(z)
    return float(confidence[y != forgotten].mean() - confidence[y == forgotten].mean())


def beyond(of):
    return lambda z, g, y, f: doubt(z, y, f, of) - doubt(g, y, f, of)


def overwriting(z, g, y, f):
    z -= z.logsumexp(1, keepdim=True)
    return beyond(sure)(z, g, y, f)


RIGHT = {
    "per_class": accuracies,
    "points_lost": both(lost),
    "answers_apart": apart,
    "confidence_gap": beyond(sure),
}
WRONG = {
    "per_class": [
        (lambda p, y, n: means(p, y, n), "without images.*ZeroDivisionError in line"),
        (lambda p, y, n: accuracies(p, y, n) / 100, "in percent"),
        (lambda p, y, n: accuracies(p, y, n).nan_to_num(0), "NaN, not 0"),
        (lambda p, y, n: accuracies(p, y, n).nan_to_num(100), "NaN, not 100"),
        (lambda p, y, n: 100 * ((p == y).sum() / len(y)), "one number for each class"),
        (lambda p, y, n: accuracies(y, p, n), "not by the answers"),
        (lambda p, y, n: accuracies(p, y, int(y.max()) + 1), r"expected the shape \[5\], got \[4\]"),
        (lambda p, y, n: 100 - accuracies(p, y, n), "the share that is wrong"),
        (lambda p, y, n: 100 * torch.bincount(y[p == y], minlength=n) / len(y), "not by all images"),
    ],
    "points_lost": [
        (both(lambda a, b: flat(b) - flat(a)), "a case that only one of the two has"),
        (both(lambda a, b: average([average(r) - average(s)
                                    for r, s in zip(b.tolist(), a.tolist(), strict=True)])),
         "before the mean over targets"),
        (both(lambda a, b: flat(b - a)), "average within each network first"),
        (both(rows_and_columns), r"over targets \(columns\) first, not over networks"),
        (both(lambda a, b: -lost(a, b)), r"points \*lost\*"),
        (both(lambda a, b: lost(a, b, lambda x, y: abs(y - x))), "a gain is a negative loss"),
        (both(lambda a, b: lost(a, b, lambda x, y: max(y - x, 0) if x == x and y == y else x - y)),
         "gains count against losses"),
        (lambda m, o, g: both(lost)(m, g, o), "first against the original"),
        (both(lambda a, b: float((b - a).mean())), "nanmean leaves it out"),
        (both(lambda a, b: float((b - a).nan_to_num(0.0).mean())), "it is no loss of 0"),
        (complete, "can still be compared"),
        (both(lambda a, b: lost(a, b, lambda x, y: 100 * (y - x) / y)), "not shares of the other accuracy"),
        (both(lambda a, b: float((b - a).nanmean(1).nanmedian())), "not the median"),
        (filled, "the arguments have changed"),
        (lambda m, o, g: (lost(m, o), lost(m, g)), "return a tensor, not tuple"),
        (lambda m, o, g: lost(m, o), "return a tensor, not float"),
    ],
    "answers_apart": [
        (of_differences(lambda d: sum(map(abs, d))), "half of the sum, so that"),
        (of_differences(lambda d: sum(map(abs, d)) / len(d)), "not their mean"),
        (of_differences(sum), "add up to 0"),
        (of_differences(lambda d: max(map(abs, d))), "not the largest difference alone"),
        (of_differences(lambda d: sum(v * v for v in d) / 2), "not squared ones"),
        (lambda *a: 1 - apart(*a), "its complement"),
        (lambda *a: 100 * apart(*a), "not in percent"),
        (lambda m, g, y, f, n: apart(m, g, 0 * y, 0, n), "the forgotten class alone"),
        (lambda m, g, y, f, n: (m != g)[y == f].double().mean(), "Do not compare image by image"),
        (lambda m, g, y, f, n: (m != g).double().mean(), "and not image by image"),
        (lambda m, g, y, f, n: torch.bincount(m[y == f], minlength=n).sub(
            torch.bincount(g[y == f], minlength=n)).abs().sum() / 2, "not their numbers"),
        (lambda m, g, y, f, n: apart(m, g, y, f, n) * (y == f).sum() / len(y), "not by all images"),
        (lambda m, g, y, f, n: sum(abs(a - b) for k, (a, b) in enumerate(
            zip(histogram(m[y == f], n), histogram(g[y == f], n), strict=True)) if k != f) / 2,
         "do not leave it out"),
        (lambda m, g, y, f, n: (torch.bincount(m[y == f]) - torch.bincount(g[y == f])).abs().sum(),
         "RuntimeError in line"),
    ],
    "confidence_gap": [
        (lambda z, g, y, f: doubt(z, y, f), "gold has such a gap as well"),
        (lambda z, g, y, f: doubt(g, y, f), "gold's gap alone"),
        (lambda z, g, y, f: doubt(g, y, f) - doubt(z, y, f), "more than gold does"),
        (lambda *a: abs(beyond(sure)(*a)), "no absolute value"),
        (lambda z, g, y, f: doubt(z, y, f) + doubt(g, y, f), "do not add it"),
        (beyond(lambda z: z.amax(1)), "probabilities, not logits"),
        (beyond(lambda z: z.softmax(0).amax(1)), "dim 1"),
        (lambda z, g, y, f: doubt(z, y, f, lambda z: z.softmax(1)[torch.arange(len(y)), y])
         - doubt(g, y, f, lambda z: z.softmax(1)[torch.arange(len(y)), y]), "whatever the label is"),
        (lambda z, g, y, f: (sure(z).mean() - sure(z)[y == f].mean() - sure(g).mean()
                             + sure(g)[y == f].mean()).item(),
         "not all images"),
        (lambda z, g, y, f: doubt(z, z.argmax(1), f) - doubt(g, g.argmax(1), f),
         "not those that are called so"),
        (lambda *a: 100 * beyond(sure)(*a), "not percent"),
        (lambda z, g, y, f: float(sure(g)[y == f].mean() - sure(z)[y == f].mean()), "A gap takes two groups"),
        (overwriting, "the arguments have changed"),
        (lambda z, g, y, f: sure(z) - sure(g), "return one number"),
    ],
}  # fmt: skip
