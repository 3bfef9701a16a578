"""Answers to the exercises of page 12."""

import math

import torch


def cosine(a, b):
    return (a @ b.T) / a.norm(dim=1)[:, None] / b.norm(dim=1)


def shares(h_f, a_f, h_r, a_r, like=cosine):
    near = [int(a_r[int(row.argmax())] == a) for row, a in zip(like(h_f, h_r), a_f, strict=True)]
    usual = []
    for k, row in enumerate(like(h_r, h_r)):
        row[k] = -math.inf
        usual.append(int(a_r[int(row.argmax())] == a_r[k]))
    return sum(near) / len(near), sum(usual) / len(usual)


def aimed(found, usual):
    return 0.0 if found < usual / 2 else min(found / usual, 1.0)


def of_shares(of):
    return lambda *a: of(*shares(*a))


def itself(h_f, a_f, h_r, a_r):
    return aimed(
        shares(h_f, a_f, h_r, a_r)[0], float((a_r[cosine(h_r, h_r).argmax(1)] == a_r).double().mean())
    )


def among_all(h_f, a_f, h_r, a_r):
    every, answers = torch.cat([h_f, h_r]), torch.cat([a_f, a_r])
    found = cosine(h_f, every).masked_fill(torch.eye(len(h_f), len(every), dtype=torch.bool), -9.0).argmax(1)
    return aimed(float((answers[found] == a_f).double().mean()), shares(h_f, a_f, h_r, a_r)[1])


def stretching(h_f, a_f, h_r, a_r):
    h_f /= h_f.norm(dim=1, keepdim=True)
    return of_shares(aimed)(h_f, a_f, h_r, a_r)


def plateau(losses, tie):
    """Places of the longest run, of equally long the last."""
    best, run = [], []
    for k, loss in enumerate(losses):
        run = [*run, k] if loss <= min(losses) + tie else []
        best = run if run and len(run) >= len(best) else best
    return best


def choose(
    alphas,
    kept,
    left,
    aim,
    tie,
    loss=lambda k, f, aim: 1 - k + abs(f - aim),
    pick=lambda run: run[len(run) // 2],
):
    losses = [loss(k, f, aim) for k, f in zip(kept.tolist(), left.tolist(), strict=True)]
    return float(alphas[pick(plateau(losses, tie))])


def by_loss(loss):
    return lambda *a: choose(*a, loss=loss)


def by_pick(pick):
    return lambda *a: choose(*a, pick=pick)


def first_of_equals(alphas, kept, left, aim, tie):
    turned = plateau((1 - kept + (left - aim).abs()).flip(0).tolist(), tie)
    return alphas[len(alphas) - 1 - turned[(len(turned) - 1) // 2]]


def of_all_low(alphas, kept, left, aim, tie):
    loss = 1 - kept + (left - aim).abs()
    low = (loss <= loss.min() + tie).nonzero()[:, 0]
    return float(alphas[low[len(low) // 2]])


def values_mean(alphas, kept, left, aim, tie):
    run = plateau((1 - kept + (left - aim).abs()).tolist(), tie)
    return sum(float(alphas[k]) for k in run) / len(run)


def behind(gaps, at):
    rows = zip(gaps.tolist(), at.tolist(), strict=True)
    return [row[k] - min(v for v in row if v == v) for row, k in rows]


def own(gaps, at):
    return gaps[range(len(gaps)), at]


def one_for_all(gaps, at):
    mean = gaps.mean(0)
    best = min((v, k) for k, v in enumerate(mean.tolist()) if v == v)[1]
    return float((own(gaps, at) - gaps[:, best]).max())


RIGHT = {"aim": of_shares(aimed), "choice": choose, "regret": lambda gaps, at: max(behind(gaps, at))}
WRONG = {
    "aim": [
        (lambda *a: aimed(*shares(*a, like=lambda p, q: -torch.cdist(p, q))), "Euclid"),
        (lambda *a: aimed(*shares(*a, like=lambda p, q: p @ q.T)), "divide by the lengths"),
        (lambda *a: aimed(*shares(*a, like=lambda p, q: -cosine(p, q))),
         "not the farthest|ZeroDivisionError"),
        (itself, "not its own neighbour"),
        (among_all, "neighbours in D_r alone"),
        (of_shares(lambda f, r: f), "a weak classifier"),
        (of_shares(lambda f, r: r), "what neighbours reach on D_r"),
        (of_shares(lambda f, r: min(f / r, 1)), "less than half"),
        (of_shares(lambda f, r: 0.0 if f <= r / 2 else min(f / r, 1)), "exactly half"),
        (of_shares(lambda f, r: 0.0 if f < 0.5 else min(f / r, 1)), "not half of all"),
        (of_shares(lambda f, r: 0.0 if f < r / 2 else f / r), "at most 1"),
        (of_shares(lambda f, r: 100 * aimed(f, r)), "not percent"),
        (of_shares(lambda f, r: round(aimed(f, r))), "expected|not as all"),
        (of_shares(lambda f, r: float(2 * f >= r)), "not as all"),
        (stretching, "the arguments have changed"),
        (lambda *a: shares(*a), "return one number"),
    ],
    "choice": [
        (lambda a, k, f, aim, tie: choose(a, k, f, 0.0, tie), "not always 0"),
        (lambda a, k, f, aim, tie: choose(a, k, f, 1.0, tie), "not always 1"),
        (by_pick(lambda run: run[0]), "the middle, not the first"),
        (by_pick(lambda run: run[-1]), "the middle, not the last"),
        (by_pick(lambda run: run[(len(run) - 1) // 2]), "the larger"),
        (values_mean, "not the mean of their values"),
        (lambda a, k, f, aim, tie: a[(1 - k + (f - aim).abs()).argmin()], "hangs on one sample"),
        (by_loss(lambda k, f, aim: 1 - k + max(f - aim, 0)), "and so is less"),
        (by_loss(lambda k, f, aim: 1 - k + max(aim - f, 0)), "and so is more"),
        (by_loss(lambda k, f, aim: abs(f - aim)), "kept of D_r counts"),
        (by_loss(lambda k, f, aim: 1 - k), "left of D_f counts"),
        (by_loss(lambda k, f, aim: 1 - k + (f - aim) ** 2), "not its square"),
        (first_of_equals, "not the first"),
        (of_all_low, "not the middle of all"),
        (lambda a, k, f, aim, tie: plateau((1 - k + (f - aim).abs()).tolist(), tie)[-1] // 2, "expected"),
        (lambda a, *rest: choose(torch.arange(8), *rest), "not its place"),
        (lambda a, k, f, aim, tie: choose(a, k, f, aim, 0.0), "within `tie`"),
        (by_loss(lambda k, f, aim: k - abs(f - aim)), "not the largest|expected"),
    ],
    "regret": [
        (lambda gaps, at: sum(behind(gaps, at)) / len(at), "not the mean"),
        (lambda gaps, at: sorted(behind(gaps, at))[(len(at) - 1) // 2], "not the median"),
        (lambda gaps, at: min(behind(gaps, at)), "not the smallest"),
        (lambda gaps, at: sum(behind(gaps, at)), "not the sum"),
        (lambda gaps, at: own(gaps, at).max(), "subtract its gap"),
        (one_for_all, "not one for all"),
        (lambda gaps, at: (own(gaps, at) - gaps[gaps.isfinite()].min()).max(), "best gap of all cases"),
        (lambda gaps, at: (own(gaps, at) - gaps.amin(1)).max(), "leave the NaN out"),
        (lambda gaps, at: (own(gaps, at) - gaps.nan_to_num(0.0).amin(1)).max(), "no gap of 0"),
        (lambda gaps, at: -max(behind(gaps, at)), "chosen minus best"),
        (lambda gaps, at: (gaps[:, int(at[0])] - gaps.nan_to_num(1e9).amin(1)).max(), "a choice of its own"),
        (lambda gaps, at: float(own(gaps, at).max() - gaps.nan_to_num(1e9).amin(1).max()), "before you look"),
        (lambda gaps, at: torch.tensor(behind(gaps, at)), "return one number"),
        (lambda gaps, at: int((gaps.nan_to_num(1e9).argmin(1) - at).abs().max()), "expected .* got"),
    ],
}  # fmt: skip
