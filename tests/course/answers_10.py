"""Answers to the exercises of page 10."""

import torch


def by_hand(of):
    """Weight by weight, in plain numbers."""

    def rule(i_f, i_d, alpha, lam):
        pairs = zip(i_f.flatten().tolist(), i_d.flatten().tolist(), strict=True)
        return torch.tensor([of(f, d, alpha, lam) for f, d in pairs], dtype=torch.float64).reshape(i_f.shape)

    return rule


def softly(f, d, alpha, lam):
    return 1.0 if d == 0 or f <= alpha * d else (alpha * d / f) ** lam


def softened(of):
    """``of`` of f, d, alpha, lam where both are above 0, else 1."""
    return by_hand(lambda f, d, alpha, lam: of(f, d, alpha, lam) if d > 0 and f > 0 else 1.0)


def plain(i_f, i_d, alpha, lam):
    return ((alpha * i_d / i_f) ** lam).clamp(max=1)


def sides(people, test):
    return tuple(
        torch.tensor([k for k, p in enumerate(people.tolist()) if (p in test) == side], dtype=torch.long)
        for side in (False, True)
    )


def apart(people, share, order=lambda p: sorted({*p}, reverse=True), enough=lambda have, most: have >= most):
    numbers, test = people.tolist(), []
    for each in order(numbers):
        if enough(sum(p in test for p in numbers), share * len(numbers)):
            break
        test.append(each)
    return sides(people, test)


def cut(people, share, order):
    n = -int(-share * len(people) // 1)
    return order[:-n].sort().values, order[-n:].sort().values


def of_each(people, share):
    train, test = [], []
    for each in sorted({*people.tolist()}):
        own = (people == each).nonzero()[:, 0].tolist()
        at = int((1 - share) * len(own))
        train, test = train + own[:at], test + own[at:]
    return torch.tensor(sorted(train)), torch.tensor(sorted(test))


def below(people, share):
    numbers, test = people.tolist(), []
    for each in sorted({*numbers}, reverse=True):
        if sum(p in [*test, each] for p in numbers) > share * len(numbers):
            break
        test.append(each)
    return sides(people, test)


def one_more(people, share):
    ids, have = sorted({*people.tolist()}), {*people[apart(people, share)[1]].tolist()}
    return sides(people, ids[-len(have) - 1 :])


def shuffled(people, share):
    order = torch.randperm(len(people), generator=torch.Generator().manual_seed(0))
    return cut(people, share, order)


def masks(people, share):
    return tuple(torch.isin(torch.arange(len(people)), side) for side in apart(people, share))


def some_people(people, share):
    ids = sorted({*people.tolist()})
    return sides(people, ids[-max(1, round(share * len(ids))) :])


RIGHT = {
    "margin": lambda z: z.topk(2, 1).values @ torch.tensor([1.0, -1.0]),
    "soft": by_hand(softly),
    "people_apart": apart,
}
WRONG = {
    "margin": [
        (lambda z: z.max(1).values, "subtract the second largest"),
        (lambda z: z.amax(1) - z.amin(1), "not the smallest"),
        (lambda z: z.topk(2, 1).values.diff(dim=1)[:, 0], "not the other way round"),
        (lambda z: -z.topk(2, 1).values.diff(dim=1).sum(), "not their sum"),
        (lambda z: -z.topk(2, 1).values.diff(dim=1).mean(), "not their mean"),
        (lambda z: -z.topk(2, 0).values.diff(dim=0)[0], "not of each column"),
        (lambda z: z.amax(1) - z.masked_fill(z == z.amax(1, keepdim=True), -9).amax(1), "count both"),
        (lambda z: -z.softmax(1).topk(2, 1).values.diff(dim=1)[:, 0], "not probabilities"),
        (lambda z: z.topk(2, 1).values, "subtract"),
        (lambda z: (-z.topk(2, 1).values.diff(dim=1)[:, 0]).tolist(), "return a tensor, not list"),
        (lambda z: -z.topk(2, 1).values.diff(dim=1), "expected the shape"),
        (lambda z: -z.detach().topk(2, 1).values.diff(dim=1)[:, 0], "nothing may be detached"),
        (lambda z: -z.detach().topk(2, 1).values.diff(dim=1)[:, 0] + 0 * z.sum(1), "nothing may be detached"),
        (lambda z: z.sort(1).values[:, -1] - z.sort(1).values[:, 1], "expected .* got"),
    ],
    "soft": [
        (softened(lambda f, d, a, lam: (a * d / f) ** lam), "no weight grows"),
        (plain, "also where both are 0"),
        (lambda *g: plain(*g).nan_to_num(1.0), "its factor is 1, not 0"),
        (lambda f, d, a, lam: torch.where((d > 0) | (f == 0), plain(f, d, a, lam), 1.0), "0 / 0 is NaN"),
        (lambda f, d, a, lam: torch.where(f > 0, by_hand(softly)(f, d, a, lam), 0.0), "does not need"),
        (softened(lambda f, d, a, lam: min(lam * a * d / f, 1.0)), "an exponent here"),
        (softened(lambda f, d, a, lam: (d / f) ** lam if f > a * d else 1.0), "there is a jump"),
        (softened(lambda f, d, a, lam: min(lam * d / f, 1.0) if f > a * d else 1.0), "which jumps"),
        (softened(lambda f, d, a, lam: min((f / (a * d)) ** lam, 1.0)), "not the other way round"),
        (softened(lambda f, d, a, lam: min(a * (d / f) ** lam, 1.0)), "of the whole ratio"),
        (softened(lambda f, d, a, lam: min(a * d / f, 1.0)), "the exponent is lambda: use it"),
        (lambda *g: 1 - by_hand(softly)(*g), "not what is taken away"),
        (lambda f, d, a, lam: (f > a * d).double(), "not only whether"),
        (lambda f, d, a, lam: f > a * d, "return numbers, not a mask"),
        (lambda *g: by_hand(softly)(*g).mean(), "expected the shape"),
        (softened(lambda f, d, a, lam: min(a * d / f, 1.0) ** (lam + 1)), "expected .* got"),
    ],
    "people_apart": [
        (lambda p, s: cut(p, s, torch.arange(len(p))), "between people, not between recordings"),
        (lambda p, s: cut(p, s, p.argsort(stable=True)), "the person at the cut"),
        (of_each, "everybody on both sides"),
        (shuffled, "expected the shape|expected .* got"),
        (below, "at least the share"),
        (one_more, "as soon as"),
        (lambda p, s: apart(p, s, enough=lambda have, most: have > most), "reached exactly"),
        (some_people, "not of the people"),
        (lambda p, s: apart(p, s, order=lambda p: sorted({*p})), "the highest number first"),
        (lambda p, s: apart(p, s, order=lambda p: sorted({*p}, key=p.count, reverse=True)),
         "by their numbers"),
        (lambda p, s: apart(p, s)[::-1], "train first"),
        (masks, "not masks"),
        (lambda p, s: tuple(p[side].unique() for side in apart(p, s)), "not the numbers of people"),
        (lambda p, s: tuple(side[p[side].argsort(stable=True)] for side in apart(p, s)), "in the order of"),
        (lambda p, s: apart(p, s)[1], "return 2 things"),
        (lambda p, s: sides(p, [k for k in p.tolist() if k > (1 - s) * p.max()]),
         "numbers of people have gaps"),
    ],
}  # fmt: skip
