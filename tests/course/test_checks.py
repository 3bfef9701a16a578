"""Every exercise: a right answer passes, and each wrong one gets the hint that names the mistake."""

import re

import pytest
import torch
from torch import nn

from lfssd_nb.course import checks


def kept(n, forget):
    return [k for k in range(n) if k not in forget.tolist()]


def overwriting(n, forget):
    forget.sort()
    forget[:1] = 0
    return torch.tensor(kept(n, forget), dtype=torch.int64)


def gradients(model, x, score, each):
    names, parameters = zip(*model.named_parameters(), strict=True)
    rows = [torch.autograd.grad(score(model(x[k : k + 1])), parameters) for k in range(len(x))]
    return {name: each(torch.stack(g)) for name, g in zip(names, zip(*rows, strict=True), strict=True)}


def of_score(score, each=lambda g: g.abs().mean(0)):
    return lambda model, x: gradients(model, x, score, each)


def norm(z):
    return (z**2).sum()


def of_batch(model, x):
    model.zero_grad()
    norm(model(x)).backward()
    return {name: p.grad.abs() / len(x) for name, p in model.named_parameters()}


def written_down(model, x):
    """|2 f x|, of the one layer with one logit."""
    return {"weight": (2 * model(x) * x).abs().mean(0, keepdim=True)}


def rule(mask, factor=lambda f, d, lam: torch.minimum(lam * d / f, torch.ones_like(f))):
    return lambda t, f, d, a, lam: torch.where(mask(f, d, a), t * factor(f, d, lam), t)


def above(f, d, a):
    return (f > a * d) & (d > 0)


def in_place(t, f, d, a, lam):
    t *= torch.where(above(f, d, a), (lam * d / f).clamp(max=1), 1.0)
    return t


def accuracies(p, y, n):
    return torch.tensor([100 * ((p == y) & (y == c)).sum().item() / max(int((y == c).sum()), 1)
                         if (y == c).any() else float("nan") for c in range(n)])  # fmt: skip


def means(p, y, n):
    return [100 * sum(bool(a == b) for a, b in zip(p, y, strict=True) if b == c) / int((y == c).sum())
            for c in range(n)]  # fmt: skip


def right_of(p, y, where):
    return 100 * (p == y)[where].double().mean().item()


def gap(p, y, s, f, b):
    return right_of(p, y, (s != f) & (s != b)) - right_of(p, y, s == b)


def product(mine, gold, of):
    return torch.tensor([of(mine[k], gold[k]) for k in gold], dtype=torch.float64).prod().item()


def batches(g, size):
    return torch.stack([part.mean(0).abs() for part in g.split(size)])


def sizes(ratios, alphas):
    return [int((ratios > max(alpha, 1.0)).sum()) for alpha in alphas]


def auc(a, b):
    a, b = a[:, None], b[None]
    return ((a > b).double() + (a == b).double() / 2).mean().item()


RIGHT = {
    "retain_index": lambda n, forget: torch.tensor(kept(n, forget), dtype=torch.int64),
    "sensitivity": of_score(norm),
    "dampened": rule(above),
    "per_class": accuracies,
    "sibling_gap": gap,
    "spread": lambda g, n: g.std(0) / g.mean(0) * (1 / n - 1 / len(g)) ** 0.5,
    "tow": lambda m, g: product(m, g, lambda a, b: 1 - abs(a - b) / 100),
    "two_sided": lambda a, b: abs(auc(a, b) - 0.5),
    "networks": lambda ratios, alphas: len(set(sizes(ratios, alphas))),
    "margin": lambda z: z.topk(2, 1).values @ torch.tensor([1.0, -1.0]),
    "partial_batch": lambda g, size: batches(g, size).mean(0),
}
WRONG = {
    "retain_index": [
        (lambda n, f: kept(n, f), "return a tensor of positions, not list"),
        (lambda n, f: torch.tensor([k not in f.tolist() for k in range(n)]), "not a mask"),
        (lambda n, f: torch.tensor(kept(n, f)[::-1], dtype=torch.int64), "keep the order of D"),
        (lambda n, f: f, "those are the positions to forget"),
        (lambda n, f: torch.arange(n), "all are there"),
        (lambda n, f: torch.arange(n - len(f)), "not numbers from 0 on"),
        (lambda n, f: torch.tensor(kept(n, f))[:, None], r"\[N_r\], not a column"),
        (overwriting, "the arguments have changed"),
        (lambda n, f: torch.tensor(list(set(range(n)) - set(f))), "all are there"),
        (lambda n, f: torch.tensor(kept(n, f)) + 1, "expected .* got"),
        (lambda n, f: set(range(n)).difference(f.tolist()), "not set"),
        (lambda n, f: None, "not NoneType"),
        (lambda n, f: torch.ones(n)[f].nonzero(as_tuple=True)[3], "IndexError"),
    ],
    "sensitivity": [
        (of_score(lambda z: z.sum() ** 2), "not the square of their sum"),
        (of_score(lambda z: z.max() ** 2), "not the largest alone"),
        (lambda m, x: {k: v for k, v in of_score(norm)(m, x).items() if "bias" not in k}, "the biases too"),
        (written_down, "KeyError|expected|biases|RuntimeError"),
        (of_score(norm, lambda g: g.mean(0).abs()), "of each sample's gradient, then average"),
        (of_batch, "of each sample's gradient, then average"),
        (of_score(norm, lambda g: g.mean(0)), "never negative"),
        (of_score(norm, lambda g: g.abs().sum(0)), "do not add them up"),
        (of_score(norm, lambda g: (g**2).mean(0)), "would be SSD's"),
        (of_score(lambda z: z.norm()), "without the root"),
        (of_score(lambda z: norm(z) / 2), "factor of 2"),
        (of_score(lambda z: (z**2).mean()), "not over logits"),
        (lambda m, x: list(of_score(norm)(m, x).values()), "return a dict"),
        (lambda m, x: {k: v.flatten() for k, v in of_score(norm)(m, x).items()}, "expected .* got"),
    ],
    "dampened": [
        (rule(lambda f, d, a: (f > a) & (d > 0)), "not with alpha"),
        (rule(above, lambda f, d, lam: (d / f).clamp(max=1) if lam >= 1 else f * 0), "does not prune"),
        (lambda t, f, d, a, lam: t * torch.where(f > a * d, lam * d / f, f / f).clamp(max=1),
         "0 / 0 is NaN|D says nothing"),
        (rule(lambda f, d, a: f > a * d), "D says nothing"),
        (rule(lambda f, d, a: f >= a * d), "it is strict"),
        (rule(above, lambda f, d, lam: lam * d / f), "no weight may grow"),
        (rule(above, lambda f, d, lam: (lam / f).clamp(max=1)), "not lam / I_f"),
        (rule(above, lambda f, d, lam: (d / f).clamp(max=1)), "has lambda in it"),
        (rule(lambda f, d, a: f < a * d), "above the threshold, not below"),
        (lambda t, f, d, a, lam: torch.where(above(f, d, a), (t * lam * d / f).clamp(max=1), t),
         "not the product"),
        (lambda t, f, d, a, lam: t * (lam * d / f).clamp(max=1), "all others keep their value"),
        (lambda t, f, d, a, lam: torch.where(above(f, d, a), t * 0, t), "expected .* got"),
        (in_place, "the arguments have changed"),
        (lambda t, f, d, a, lam: (t, f), "expected .* got"),
    ],
    "per_class": [
        (lambda p, y, n: means(p, y, n), "NaN before dividing"),
        (lambda p, y, n: accuracies(p, y, n) / 100, "in percent"),
        (lambda p, y, n: accuracies(p, y, n).nan_to_num(0), "NaN, not 0"),
        (lambda p, y, n: accuracies(p, y, n).nan_to_num(100), "NaN, not 100"),
        (lambda p, y, n: 100 * ((p == y).sum() / len(y)), "one number for each class"),
        (lambda p, y, n: accuracies(y, p, n), "not by the answers"),
        (lambda p, y, n: accuracies(p, y, int(y.max()) + 1), "one number per class, 5 here; got 4"),
        (lambda p, y, n: 100 - accuracies(p, y, n), "the share that is wrong"),
        (lambda p, y, n: 100 * torch.bincount(y[p == y], minlength=n) / len(y), "not by all images"),
    ],
    "sibling_gap": [
        (lambda p, y, s, f, b: gap(p, y, s, 8, 0), "on the page|IndexError|expected"),
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
    "spread": [
        (lambda g, n: (g.std(0) / g.mean(0)).sum(), "one prediction per weight"),
        (lambda g, n: g.std(0) / g.mean(0) / n**0.5, "D_f = D has ratio 1"),
        (lambda g, n: g.std(0) / g.mean(0) * (1 - n / len(g)) ** 0.5 / n, "twice the samples"),
        (lambda g, n: g.std(0) * (1 / n - 1 / len(g)) ** 0.5, "c = std / mean"),
        (lambda g, n: (g.std(0) / g.mean(0) + 1) * (1 / n - 1 / len(g)) ** 0.5, "no spread"),
    ],
    "tow": [
        (lambda m, g: product(m, g, lambda a, b: 1 - abs(a - b)), "divide the gaps by 100"),
        (lambda m, g: product(m, g, lambda a, b: 1 - (a - b) / 100), r"take \|gap\|"),
        (lambda m, g: product(m, g, lambda a, b: 1 - (b - a) / 100), r"take \|gap\|"),
        (lambda m, g: product(m, g, lambda a, b: abs(a - b) / 100), "gold itself has ToW 1"),
        (lambda m, g: sum(1 - abs(m[k] - g[k]) / 100 for k in g) / len(g), "do not average"),
        (lambda m, g: 1 - sum(abs(m[k] - g[k]) / 100 for k in g), "do not take 1 minus all gaps"),
        (lambda m, g: product(m, g, lambda a, b: 1 - ((a - b) / 100) ** 2), "not its square"),
        (lambda m, g: product(m, g, lambda a, b: 1 - max(a - b, 0) / 100), "expected"),
        (lambda m, g: 1 - abs(m["a"] - g["a"]) / 100, "expected|KeyError"),
    ],
    "two_sided": [
        (auc, "subtract 1/2"),
        (lambda a, b: auc(a, b) - 0.5, "take the absolute value"),
        (lambda a, b: abs((a[:, None] > b).double().mean().item() - 0.5), "a tie counts as half"),
        (lambda a, b: abs((a.mean() - b.mean()).item()), "0.5 apart"),
        (lambda a, b: float((a.mean() != b.mean()).item()) / 2, "every a with every b"),
    ],
    "networks": [
        (lambda r, a: len(a), "every alpha leaves the original"),
        (lambda r, a: len({int((r >= v).sum()) for v in a}), "strict"),
        (lambda r, a: len({int((r > v).sum()) for v in a}), "may be selected, but its factor"),
        (lambda r, a: len({s for s in sizes(r, a) if s}), "one network|leaves the original"),
        (lambda r, a: 1 + sum(p != q for p, q in zip(sizes(r, a), sizes(r, a)[1:], strict=False)), "order"),
        (lambda r, a: min(2, len(set(sizes(r, a)))), "four networks"),
    ],
    "margin": [
        (lambda z: z.max(1).values, "subtract the second largest"),
        (lambda z: z.amax(1) - z.amin(1), "largest minus smallest"),
        (lambda z: z.topk(2, 1).values @ torch.tensor([-1.0, 1.0]), "not the other way round"),
        (lambda z: (z.topk(2, 1).values @ torch.tensor([1.0, -1.0])).sum(), "one number for each sample"),
        (lambda z: (z.topk(2, 1).values @ torch.tensor([1.0, -1.0])).tolist(), "return a tensor"),
        (lambda z: z.amax(1) - z.masked_fill(z == z.amax(1, keepdim=True), -9).amax(1), "count both"),
        (lambda z: (z.detach().topk(2, 1).values @ torch.tensor([1.0, -1.0])) + 0 * z.sum(1),
         "nothing may be detached"),
    ],
    "partial_batch": [
        (lambda g, size: g.mean(0).abs(), "take .* of the mean of each"),
        (lambda g, size: g.abs().mean(0), "signs within a batch cancel"),
        (lambda g, size: sum(len(p) * p.mean(0).abs() for p in g.split(size)) / len(g), "like a full one"),
        (lambda g, size: batches(g, size).sum(0), "do not add them up"),
        (lambda g, size: batches(g, size).sum(0) / max(len(g) // size, 1), "expected"),
        (lambda g, size: torch.stack([p.mean(0).abs() for p in g.chunk(-(-len(g) // size))]).mean(0),
         "g.split"),
        (lambda g, size: torch.stack([p.mean(0) for p in g.split(size)]).mean(0).abs(),
         "belongs to each batch"),
        (lambda g, size: torch.stack([p.sum(0).abs() for p in g.split(size)]).mean(0), "not its sum"),
        (lambda g, size: batches(g[: len(g) // size * size], size).mean(0), "counts too|RuntimeError"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_answer_passes(name, capsys):
    getattr(checks, name)(RIGHT[name])
    assert capsys.readouterr().out == f"{name}: right\n"


@pytest.mark.parametrize(("name", "k"), [(name, k) for name in WRONG for k in range(len(WRONG[name]))])
def test_a_wrong_answer_gets_its_hint(name, k, capsys):
    wrong, hint = WRONG[name][k]
    with pytest.raises(AssertionError) as told:
        getattr(checks, name)(wrong)
    assert str(told.value).startswith("not yet: ") and re.search(hint, str(told.value)), told.value
    assert not capsys.readouterr().out


def test_every_exercise_has_wrong_answers_and_a_right_one():
    known = {name for name in checks.__all__ if name != "expect"}
    assert known == RIGHT.keys() == WRONG.keys() and sum(map(len, WRONG.values())) >= 80


def test_a_check_leaves_the_random_state_alone():
    before = torch.random.get_rng_state()
    checks.sensitivity(RIGHT["sensitivity"])
    assert torch.equal(before, torch.random.get_rng_state()) and isinstance(nn.Linear(1, 1), nn.Module)
