"""Exercises of page 18: letters that go for sure, a constant carried to what is new."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import chosen, judge, numbers

Layers = list[tuple[Tensor, Tensor]]


def surely(answer: Callable[[Tensor, Tensor, int, float, float], Tensor]) -> None:
    """Exercise 18: ``answer(tokens, forget, letters, alpha, times)`` returns a mask ``[letters]``: rows of an
    embedding whose ratio exceeds alpha for every network in which a letter's mean gradient in retained
    samples is at most ``times`` that in forgotten ones; tokens ``[N, L]``, 0: padding; forget: a mask.
    """

    def words(n: int, n_f: int, letters: int, seed: int) -> tuple[Tensor, Tensor]:
        """Letters up to 2 for D_f alone, the last two for D_r alone, one that nobody uses; some twice."""
        tokens = chosen(9 * n, letters - 5, seed=seed).reshape(n, 9) + 3
        first = torch.arange(n)[:, None] < n_f
        tokens = torch.where(first & (tokens < 6), tokens % 2 + 1, tokens)
        tokens = tokens.masked_fill(torch.arange(9) >= 3 + chosen(n, 6, seed=seed + 1)[:, None], 0)
        mixed = torch.randperm(n, generator=torch.Generator().manual_seed(seed + 2))
        return tokens[mixed], first[mixed, 0]

    one, other, even = words(40, 9, 20, 0), words(25, 12, 16, 10), words(16, 4, 12, 20)
    cases = {
        "gradients of equal size": (*one, 20, 1.3, 1.0),
        "gradients up to three times larger": (*one, 20, 1.1, 3.0),
        "a strict threshold": (*one, 20, 3.1, 1.5),
        "a threshold below 1": (*other, 16, 0.73, 1.6),
        "half of D": (*other, 16, 1.17, 1.2),
        "a threshold at the ceiling": (*even, 12, 4.0, 2.0),
        "a threshold between 1 and the ceiling": (*even, 12, 2.3, 1.4),
    }

    def counts(tokens: Tensor, forget: Tensor, letters: int, often: bool = False) -> tuple[Tensor, Tensor]:
        """How many forgotten and retained names hold each letter (or, ``often``, how many times)."""
        holds = (tokens[:, :, None] == torch.arange(letters)).double().sum(1)
        holds = holds if often else holds.clamp(max=1)
        return holds[forget].sum(0), holds[~forget].sum(0)

    def of(
        value: Callable, above: Callable = torch.gt, padding: bool = False, often: bool = False
    ) -> Callable:
        """Rows where value(k_f, k_r, N_f, N_r, times) is above alpha."""

        def mask(tokens: Tensor, forget: Tensor, letters: int, alpha: float, times: float) -> Tensor:
            k_f, k_r = counts(tokens, forget, letters, often)
            n_f = int(forget.sum())
            found = above(value(k_f, k_r, n_f, len(forget) - n_f, times), alpha) & (k_f > 0)
            found[0] &= padding
            return found

        return mask

    def least(f: Tensor, r: Tensor, n_f: int, n_r: int, times: float) -> Tensor:
        return (n_f + n_r) / n_f * f / (f + times * r)

    slips = {
        "a letter twice in a name makes its gradient larger, and no second name: count names": of(
            least, often=True),
        "padding is no letter: its row has no gradient": of(least, padding=True),
        "a tie is not selected: at alpha = N / N_f no row is": of(least, torch.ge),
        "counting decides only if the gradients are equal: where is `times`?": of(
            lambda f, r, n, m, t: least(f, r, n, m, 1.0)),
        "the worst case has the larger gradients in D_r: it lowers the ratio": of(
            lambda f, r, n, m, t: least(f, r, n, m, 1 / t)),
        "a(D) is a mean over both: only its retained part may be `times` as large": of(
            lambda f, r, n, m, t: least(f, r, n, m, 1.0) / t),
        "I(D) is over all of D, D_f included": of(lambda f, r, n, m, t: (f / n) / (t * r / m)),
        "importances are means, over N_f names and over N: where are these numbers?": of(
            lambda f, r, n, m, t: f / (f + t * r)),
        "the ceiling is N / N_f, not N_r / N_f": of(
            lambda f, r, n, m, t: least(f, r, n, m, t) * m / (n + m)),
        "the ceiling is N / N_f, not N_f / N": of(
            lambda f, r, n, m, t: least(f, r, n, m, t) * (n / (n + m)) ** 2),
        "a letter that D_r lacks is the surest of all": of(
            lambda f, r, n, m, t: torch.where(r > 0, least(f, r, n, m, t), 0.0)),
        "not only letters that D_r lacks: many in D_f against few in D_r do as well": of(
            lambda f, r, n, m, t: torch.where(r > 0, 0.0, least(f, r, n, m, t))),
        "`forget` is True in D_f": lambda tokens, forget, *how: of(least)(tokens, ~forget, *how),
        "True where alpha is exceeded for sure, not where it is not": lambda *a: ~of(least)(*a),
        "a mask of all letters, not those that it selects": lambda *a: of(least)(*a).nonzero()[:, 0],
    }  # fmt: skip
    judge(answer, of(least), cases, slips)
    print("surely: right")


def carried_far(answer: Callable[[Tensor, list[str], list[str]], Tensor]) -> None:
    """Exercise 18: ``answer(losses, data, networks)`` returns for each case how far it ends behind its own
    best threshold with the one that has the smallest mean loss on pairs of data and network that share
    neither with it; a pair's cases are averaged first. losses ``[C, T]``; two names for each case."""

    def made(data: str, networks: str, seed: int, thresholds: int = 9) -> tuple[Tensor, list[str], list[str]]:
        """Losses whose best threshold depends on data and network, and a little on the case."""
        names = [*data], [*networks]
        places = [ord(d) % 7 + ord(n) % 5 for d, n in zip(*names, strict=True)]
        at = torch.tensor(places)[:, None].double() * 0.8 + numbers(len(places), 1, seed=seed)
        return (torch.arange(thresholds) - at).abs() + numbers(
            len(places), thresholds, seed=seed + 1
        ).abs(), *names

    cases = {
        "four pairs, three cases each": made("aaabbbcccddd", "GGGHHHIIIKKK", 1),
        "two networks on the same data": made("aaaabbccddd", "GGHHGHIIIJJ", 2),
        "many cases of one pair": made("aaaaaaaabbcdd", "GGGGGGGGHHIJJ", 3),
        "the same network on all but one": made("abcdaabe", "GGGGHIJH", 4),
        "cases in any order": made("abcabdcbaadc", "GHIGIJJHHGKI", 5),
        "nothing else to choose on": made("aabbb", "GHGGG", 6),
    }

    def by(
        share: Callable = lambda d, n: d | n,
        average: bool = True,
        end: Callable = lambda own, at: own[at] - own.min(),
        reduce: Callable = lambda rows: rows.mean(0),
    ) -> Callable:
        def behind(losses: Tensor, data: list[str], networks: list[str]) -> Tensor:
            found, pairs = [], [*zip(data, networks, strict=True)]
            for case, (d, n) in enumerate(pairs):
                alike = torch.tensor([bool(share(d == e, n == m)) for e, m in pairs])
                others = [k for k in range(len(pairs)) if not alike[k] and k != case]
                groups = [
                    [k for k in others if not average or pairs[k] == p]
                    for p in dict.fromkeys(pairs[k] for k in others)
                ]
                rows = [reduce(losses[group]) for group in groups]
                value = float("nan")
                if rows:
                    value = float(end(losses[case], int(reduce(torch.stack(rows)).argmin())))
                found.append(value)
            return torch.tensor(found, dtype=torch.float64)

        return behind

    right = by()

    def constant(losses: Tensor, data: list[str], networks: list[str]) -> Tensor:
        """One threshold, chosen on all"""
        at = losses.mean(0).argmin()
        return losses[:, at] - losses.amin(1)

    slips = {
        "leave out all that shares the data, too: not only the network": by(lambda d, n: n),
        "leave out all that shares the network, too: not only the data": by(lambda d, n: d),
        "one of the two is enough: leave out what shares the data or the network": by(lambda d, n: d & n),
        "leaving out the case itself is not enough: others share its network": by(lambda d, n: False),
        "choose on others: the case itself and its kind have no say": constant,
        "a pair with many cases has no more say: average its cases first": by(average=False),
        "how far behind: subtract the case's own best loss": by(end=lambda own, at: own[at]),
        "behind is chosen minus best, not the other way round": by(end=lambda own, at: own.min() - own[at]),
        "a loss is good if it is small: the best of a case is its smallest": by(
            end=lambda own, at: own[at] - own.max()),
        "its own best, not the mean of its own": by(end=lambda own, at: own[at] - own.mean()),
        "the smallest mean loss, not the smallest worst one": by(reduce=lambda rows: rows.amax(0)),
        "the smallest mean loss, not the smallest loss of any": by(reduce=lambda rows: rows.amin(0)),
        "the smallest mean loss, not the smallest median": by(reduce=lambda rows: rows.median(0).values),
        "the loss there, not the place of the threshold": by(end=lambda own, at: at),
        "where nothing is left to choose on there is no answer: NaN": lambda *a: right(*a).nan_to_num(0.0),
        "a value for each case, the ones without an answer as well": lambda *a: right(*a)[~right(*a).isnan()],
        "a value for each case, not their mean": lambda *a: right(*a).nanmean(),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("carried_far: right")
