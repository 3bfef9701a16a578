"""Answers to the exercises of page 14."""

import itertools
import math

import torch


def along(row, move):
    """The squared part of a move along the logits, by their cosine."""
    cosine = float(row @ move) / (float(row @ row) * float(move @ move)) ** 0.5 if move.any() else 0.0
    return cosine**2 * float(move @ move)


def square(row, move):
    return float(move @ move)


def length_share(z, jacobian, part=along, whole=square, end=lambda a, b: sum(a) / sum(b), none=0.0):
    """Weight by weight and sample by sample."""
    found, there = [], [n for n in range(len(z)) if z[n].any()]
    for i in range(jacobian.shape[2]):
        parts = [part(z[n], jacobian[n, :, i]) for n in there]
        wholes = [whole(z[n], jacobian[n, :, i]) for n in there]
        found.append(end(parts, wholes) if sum(wholes) > 0 else none)
    return torch.tensor(found, dtype=z.dtype)


def share_with(**how):
    return lambda *a: length_share(*a, **how)


def by_projection(z, jacobian):
    """With matrices that project on the logits."""
    project = z[:, :, None] * z[:, None] / z.square().sum(1).clamp(min=1e-30)[:, None, None]
    there = (z != 0).any(1)[:, None, None]
    whole = (jacobian * there).square().sum((0, 1))
    return (project @ jacobian).square().sum((0, 1)) / torch.where(whole > 0, whole, 1.0)


def with_zero_samples(z, jacobian):
    f = z / z.norm(dim=1, keepdim=True).clamp(min=1e-12)
    whole = jacobian.square().sum((0, 1))
    return (f[:, :, None] * jacobian).sum(1).square().sum(0) / torch.where(whole > 0, whole, 1.0)


def no_guard(z, jacobian):
    f = z / z.norm(dim=1, keepdim=True)
    return (f[:, :, None] * jacobian).sum(1).square().sum(0) / jacobian.square().sum((0, 1))


def turned_round(z, jacobian):
    return torch.where(jacobian[z.any(1)].square().sum((0, 1)) > 0, 1 - length_share(z, jacobian), 0.0)


def of_mean_direction(z, jacobian):
    z, jacobian = z[z.any(1)], jacobian[z.any(1)]
    return length_share(z.mean(0).expand_as(z), jacobian)


def sums_first(z, jacobian):
    z, jacobian = z[z.any(1)], jacobian[z.any(1)]
    f = z / z.norm(dim=1, keepdim=True)
    whole = jacobian.square().sum((0, 1))
    return (f[:, :, None] * jacobian).sum((0, 1)).square() / torch.where(whole > 0, whole, 1.0)


def one_for_all(z, jacobian):
    z, jacobian = z[z.any(1)], jacobian[z.any(1)]
    f = z / z.norm(dim=1, keepdim=True)
    share = (f[:, :, None] * jacobian).sum(1).square().sum() / jacobian.square().sum()
    return torch.where(jacobian.square().sum((0, 1)) > 0, share, 0.0)


def normalising(z, jacobian):
    z /= z.norm(dim=1, keepdim=True)
    return length_share(z, jacobian)


def of_answer(row, move):
    return float(move[row.argmax()]) ** 2


def of_probabilities(row, move):
    return along(row.softmax(0), move)


def of_contrast(row, move):
    row = row - row.mean()
    return along(row, move) if row.any() else 0.0


def mean(values):
    return sum(values) / len(values)


def scaled_together(
    g, theta, group, count, each=lambda a, t: a * t, sample=abs, samples=mean, of=lambda k, c: k
):
    """Group by group and sample by sample."""
    found = []
    for k in range(count):
        members = [i for i in range(len(theta)) if of(int(group[i]), count) == k]
        sums = [sum([each(float(row[i]), float(theta[i])) for i in members] or [0.0]) for row in g]
        found.append(samples([sample(s) for s in sums]))
    return torch.tensor(found, dtype=torch.float64)


def gate_with(**how):
    return lambda *a: scaled_together(*a, **how)


def added(g, theta, group, count):
    """index_add into one place more, which -1 reaches from behind."""
    sums = g.new_zeros(len(g), count + 1).index_add_(1, group % (count + 1), g * theta)
    return sums[:, :count].abs().mean(0)


def mean_root(values):
    return (sum(v**2 for v in values) / len(values)) ** 0.5


def those_present(g, theta, group, count):
    present = [k for k in range(count) if (group == k).any()]
    return scaled_together(g, theta, group, count)[present]


def hard_coded(g, theta, group, count):
    return scaled_together(g, theta, group, 5)


def lined_up(g, theta, group, count):
    return scaled_together(g, theta, group.sort().values, count)


def rooted(g, theta, group, count):
    salient = g.abs().mean(0) * theta.abs()
    return torch.stack([salient[group == k].norm() for k in range(count)])


def averaged(g, theta, group, count):
    mean = [(g * theta)[:, group == k].mean(1).abs().mean() for k in range(count)]
    return torch.stack(mean).nan_to_num(0.0)


def strongest(g, theta, group, count):
    salient = (g * theta).abs().mean(0)
    return torch.tensor([max(salient[group == k].tolist(), default=0.0) for k in range(count)]).double()


def everything_else(g, theta, group, count):
    return torch.stack([(g * theta)[:, group != k].sum(1).abs().mean() for k in range(count)])


def in_place(g, theta, group, count):
    g *= theta
    return scaled_together(g, torch.ones_like(theta), group, count)


def half(a, b):
    return (a > b) + 0.5 * (a == b)


def same_layer(score, selective, layer, win=half, unsure=math.isnan, none=math.nan, end=mean):
    """Pair by pair."""
    rows = zip(score.tolist(), selective.tolist(), layer.tolist(), strict=True)
    pairs = itertools.product([row for row in rows if not unsure(row[0])], repeat=2)
    wins = [win(a, b) for (a, yes, k), (b, no, m) in pairs if yes and not no and k == m]
    return end(wins) if wins else none


def layer_with(**how):
    return lambda *a: same_layer(*a, **how)


def by_ranks(score, selective, layer):
    """Layer by layer from ranks, ties at the mean of theirs; each layer as often as it has pairs."""
    won, pairs = 0.0, 0
    for k in set(layer.tolist()):
        here = (layer == k) & ~score.isnan()
        s, yes = score[here], selective[here]
        rank = (s[:, None] > s).sum(1) + ((s[:, None] == s).sum(1) + 1) / 2
        n = int(yes.sum())
        won += float(rank[yes].sum()) - n * (n + 1) / 2
        pairs += n * (len(s) - n)
    return won / pairs if pairs else math.nan


def anywhere(score, selective, layer):
    return same_layer(score, selective, torch.zeros_like(layer))


def mean_of_layers(score, selective, layer, none=None):
    each = [same_layer(score[layer == k], selective[layer == k], layer[layer == k]) for k in layer.unique()]
    each = [none if math.isnan(v) else v for v in each if none is not None or not math.isnan(v)]
    return sum(each) / len(each) if each else math.nan


def less_the_mean(score, selective, layer):
    score = score.clone()
    for k in layer.unique():
        score[layer == k] -= score[layer == k].nanmean()
    return anywhere(score, selective, layer)


def less_the_mean_in_place(score, selective, layer):
    score -= score.nanmean()
    return same_layer(score, selective, layer)


def both_ways(score, selective, layer):
    """Not asked which of the two is the selective one."""
    rows = zip(score.tolist(), selective.tolist(), layer.tolist(), strict=True)
    pairs = itertools.permutations([row for row in rows if not math.isnan(row[0])], 2)
    wins = [half(a, b) for (a, yes, k), (b, no, m) in pairs if yes != no and k == m]
    return mean(wins) if wins else math.nan


def ties_out(score, selective, layer):
    wins = same_layer(score, selective, layer, win=lambda a, b: None if a == b else a > b, end=list, none=[])
    return mean([w for w in wins if w is not None]) if wins else math.nan


def over_all_pairs(score, selective, layer):
    there = ~score.isnan()
    number = int((selective & there).sum()) * int((~selective & there).sum())
    return same_layer(score, selective, layer, end=sum, none=0.0) / number


RIGHT = {"length_share": length_share, "scaled_together": scaled_together, "same_layer": same_layer}
STYLES = {"length_share": by_projection, "scaled_together": added, "same_layer": by_ranks}
WRONG = {
    "length_share": [
        (turned_round, "the rest is the turn"),
        (lambda *a: length_share(*a) ** 0.5, "no root"),
        (share_with(part=lambda f, move: float(f @ move) ** 2), "divide by the length of f"),
        (share_with(part=lambda f, move: float(f @ move) ** 2 / float(f.norm())), "divide by the square"),
        (share_with(part=lambda f, move: 4 * along(f, move)), "no 2"),
        (share_with(end=lambda a, b: sum(p / q if q else 0.0 for p, q in zip(a, b, strict=True)) / len(a)),
         "that hardly moves"),
        (sums_first, "square in each sample"),
        (of_mean_direction, "not that of the mean logits"),
        (share_with(part=lambda f, move: float(f @ move) / float(f.norm()) * float(move.norm())),
         "its square has none"),
        (share_with(part=lambda f, move: abs(float(f @ move)) / float(f.norm()) * float(move.norm())),
         "not its absolute value"),
        (lambda z, j: no_guard(z, j).nan_to_num(0.0 if z.any(1).all() else math.nan),
         "leave that sample out"),
        (with_zero_samples, "out of both sums"),
        (share_with(none=math.nan), "gives 0 / 0: return 0"),
        (share_with(none=1.0), "0, not 1"),
        (share_with(part=of_answer), "more than the answer"),
        (share_with(part=of_probabilities), "not along the probabilities"),
        (share_with(part=of_contrast), "measured from 0"),
        (one_for_all, "not one for all"),
        (lambda *a: 100 * length_share(*a), "not percent"),
        (share_with(end=lambda a, b: sum(a) / len(a) / sum(b)), "not one beside the other"),
        (normalising, "the arguments have changed"),
        (lambda *a: length_share(*a).tolist(), "return a tensor, not list"),
        (lambda z, j: length_share(z, j.transpose(1, 2)), "Error in line"),
        (lambda *a: length_share(*a)[:, None], "expected the shape"),
        (lambda *a: length_share(*a) > 0.5, "not a mask"),
        (lambda *a: length_share(*a) + 0.1, "expected .* got"),
    ],
    "scaled_together": [
        (gate_with(each=lambda a, t: abs(a * t)), "in each sample before"),
        (gate_with(sample=lambda s: s, samples=lambda v: abs(mean(v))), "then the mean over samples"),
        (gate_with(sample=lambda s: s), "no sign is left"),
        (gate_with(each=lambda a, t: a), "multiplied by its weight"),
        (gate_with(each=lambda a, t: a * abs(t)), "counts with its sign"),
        (gate_with(each=lambda a, t: a * t * t), "not its square"),
        (gate_with(each=lambda a, t: a / t if t else 0.0), "divided by its weight"),
        (averaged, "not their mean"),
        (rooted, "who knows no signs"),
        (strongest, "not the strongest alone"),
        (gate_with(of=lambda k, c: range(c)[k]), "not to the last"),
        (gate_with(of=lambda k, c: max(k, 0)), "not to the first"),
        (those_present, "and its place"),
        (lined_up, "side by side"),
        (everything_else, "not all others"),
        (gate_with(sample=lambda s: s * s), "not the square"),
        (gate_with(samples=mean_root), "not the root of the mean square"),
        (gate_with(samples=sum), "not their sum"),
        (lambda *a: scaled_together(*a).log(), "not its logarithm"),
        (hard_coded, r"expected the shape \[8\], got \[5\]"),
        (in_place, "the arguments have changed"),
        (lambda *a: dict(enumerate(scaled_together(*a))), "return a tensor, not dict"),
        (lambda *a: scaled_together(*a).sum(), "expected the shape"),
        (lambda *a: -scaled_together(*a), "expected .* got"),
    ],
    "same_layer": [
        (anywhere, "layers have scales"),
        (less_the_mean, "not comparing within"),
        (mean_of_layers, "not each layer"),
        (lambda *a: mean_of_layers(*a, none=0.5), "no half for it"),
        (layer_with(win=lambda a, b: a > b), "not nothing"),
        (layer_with(win=lambda a, b: a >= b), "not all"),
        (ties_out, "it is not left out"),
        (lambda score, *rest: same_layer(-score, *rest), "not the lower"),
        (both_ways, "each has its place"),
        (layer_with(unsure=lambda s: False), "does not lose"),
        (lambda score, *rest: same_layer(score.nan_to_num(0.0), *rest), "does not have 0"),
        (over_all_pairs, "pairs within layers"),
        (lambda *a: 100 * same_layer(*a), "not percent"),
        (layer_with(win=lambda a, b: a - b), "by how much"),
        (layer_with(end=sum), "not the number of pairs"),
        (lambda *a: 2 * same_layer(*a) - 1, "0.5 is chance"),
        (layer_with(none=0.5), "NaN, not 0.5"),
        (layer_with(none=0.0), "NaN, not 0$"),
        (lambda *a: [same_layer(*a)][int(math.isnan(same_layer(*a)))], "no pair .*: IndexError"),
        (less_the_mean_in_place, "the arguments have changed"),
        (lambda *a: {"auc": same_layer(*a)}, "return one number, not dict"),
        (lambda *a: int(same_layer(*a) > 0.5), "expected .* got"),
    ],
}  # fmt: skip
