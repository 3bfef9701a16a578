"""Exercises of page 14: a move of the logits along and across, weights scaled together."""

from collections.abc import Callable

import torch
from torch import Tensor

from .judge import chosen, judge, numbers


def _unit(z: Tensor) -> Tensor:
    return z / z.norm(dim=1, keepdim=True)


def _of_sums(part: Tensor, whole: Tensor) -> Tensor:
    return part.sum(0) / whole.sum(0)


def length_share(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Exercise 14: ``answer(z, jacobian)`` returns for each weight ``[P]`` which share of the squared move of
    the logits lies along them; z ``[N, K]``, jacobian ``[N, K, P]``. Samples with logits of 0 are left out; a
    weight that moves nothing has 0."""
    z, j = numbers(7, 4, seed=1) + 0.5, numbers(7, 4, 12, seed=2) * numbers(7, 1, 12, seed=3).exp()
    some = (torch.arange(7) != 2) & (torch.arange(7) != 5)
    cases = {
        "four logits": (z, j),
        "long logits": (50 * z, j),
        "samples with logits of 0": (z * some[:, None], j),
        "weights that move nothing": (z, j * (chosen(12, 3, seed=4) > 0)),
        "two logits": (numbers(9, 2, seed=5), numbers(9, 2, 6, seed=6)),
        "one logit": (z[:, :1], j[:, :1]),
        "a single sample": (z[:1], j[:1]),
    }

    def by(
        to: Callable = _unit, over: Callable = _of_sums, leave: bool = True, dead: float = 0.0,
        part: Callable = lambda u, j: torch.einsum("nk,nkp->np", u, j).square(),
    ) -> Callable:  # fmt: skip
        def share(z: Tensor, j: Tensor) -> Tensor:
            there = z.any(1) | (not leave)
            found = over(part(to(z[there]), j[there]), j[there].square().sum(1))
            return torch.where(j[there].square().sum((0, 1)) == 0, dead, found)

        return share

    def then(of: Callable[[Tensor], Tensor]) -> Callable:
        return lambda z, j: of(by()(z, j))

    def answers(z: Tensor) -> Tensor:
        return torch.eye(z.shape[1], dtype=z.dtype)[z.argmax(1)]

    def once(z: Tensor) -> Tensor:
        return z / z.norm(dim=1, keepdim=True).sqrt()

    def in_all(part: Tensor, whole: Tensor) -> Tensor:
        return (part.sum() / whole.sum()).expand(part.shape[1])

    slips = {
        "the rest is the turn; the share of the length is asked for": lambda z, j: torch.where(
            j[z.any(1)].square().sum((0, 1)) == 0, 0.0, 1 - by()(z, j)),
        "squares of the parts add up, not the parts: no root": then(Tensor.sqrt),
        "the part along f is taken with a direction of length 1: divide by the length of f": by(lambda z: z),
        "squared, f J is |f|^2 times too large: divide by the square": by(once),
        "the part along f, not the derivative of the squared length: no 2": by(lambda z: 2 * _unit(z)),
        "add up over samples, then divide: or a sample that hardly moves counts as much as others": by(
            over=lambda part, whole: (part / whole).nan_to_num(0.0).mean(0)),
        "moves of different samples do not cancel: square in each sample": by(
            part=lambda u, j: torch.einsum("nk,nkp->np", u, j).sum(0, keepdim=True).square()),
        "each sample has a direction of its own, not that of the mean logits": by(
            lambda z: _unit(z.mean(0, keepdim=True)).expand_as(z)),
        "a part has a sign and its square has none: square it": by(
            part=lambda u, j: torch.einsum("nk,nkp->np", u, j) * j.norm(dim=1)),
        "squared, not its absolute value": by(
            part=lambda u, j: torch.einsum("nk,nkp->np", u, j).abs() * j.norm(dim=1)),
        "f = 0 has no direction (0 / 0): leave that sample out": by(leave=False),
        "leave a sample with f = 0 out of both sums": by(
            lambda z: _unit(z).nan_to_num(0.0), leave=False),
        "a weight that moves nothing gives 0 / 0: return 0": by(dead=float("nan")),
        "a weight that moves nothing changes no length: 0, not 1": by(dead=1.0),
        "f points to more than the answer": by(answers),
        "along the logits, not along the probabilities": by(lambda z: _unit(z.softmax(1))),
        "along f itself: the length is measured from 0, not from the mean logit": by(
            lambda z: _unit(z - z.mean(1, keepdim=True)).nan_to_num(0.0)),
        "a share for each weight, not one for all": by(over=in_all),
        "a share from 0 to 1, not percent": then(lambda share: 100 * share),
        "a mean of both, or a sum of both: not one beside the other": by(
            over=lambda part, whole: part.mean(0) / whole.sum(0)),
    }  # fmt: skip
    judge(answer, by(), cases, slips)
    print("length_share: right")


def _members(group: Tensor, count: int) -> Tensor:
    return (group[:, None] == torch.arange(count)).double()


def scaled_together(answer: Callable[[Tensor, Tensor, Tensor, int], Tensor]) -> None:
    """Exercise 14: ``answer(g, theta, group, count)`` returns LFSSD's importance of a gate on each group of
    weights ``[count]``; g ``[N, P]`` derivatives of each sample, theta ``[P]``, group ``[P]`` (-1: none)."""
    g, theta = numbers(8, 24, seed=1) + numbers(24, seed=2), numbers(24, seed=3) * 2
    group = chosen(24, 5, seed=4)
    outside, high = group.masked_fill(chosen(24, 3, seed=5) == 0, -1), group + 2 * (group > 1)
    alone = (torch.arange(24).flip(0) - 20).clamp(min=-1)
    cases = {
        "five groups": (g, theta, group, 5),
        "weights of no group": (g, theta, outside, 5),
        "groups without weights": (g, theta, high, 8),
        "groups of one weight, and all others in none": (g, theta, alone, 4),
        "weights of 0": (g, theta * (chosen(24, 2, seed=6) > 0), group, 5),
        "all in one": (g, theta, torch.zeros(24, dtype=torch.long), 1),
        "a single sample": (g[:1], theta, outside, 5),
    }

    def by(
        size: Callable = lambda theta: theta,
        end: Callable = lambda sums: sums.abs().mean(0),
        members: Callable = _members,
        start: Callable = lambda each: each,
    ) -> Callable:
        return lambda g, theta, group, count: end(start(g * size(theta)) @ members(group, count))

    def averaged(g: Tensor, theta: Tensor, group: Tensor, count: int) -> Tensor:
        return by()(g, theta, group, count) / _members(group, count).sum(0).clamp(min=1)

    def rooted(g: Tensor, theta: Tensor, group: Tensor, count: int) -> Tensor:
        return ((theta * g.abs().mean(0)).square() @ _members(group, count)).sqrt()

    def the_largest(g: Tensor, theta: Tensor, group: Tensor, count: int) -> Tensor:
        return ((theta * g).abs().mean(0)[:, None] * _members(group, count)).amax(0)

    def side_by_side(g: Tensor, theta: Tensor, group: Tensor, count: int) -> Tensor:
        return by()(g, theta, group.sort().values, count)

    def all_but(group: Tensor, count: int) -> Tensor:
        return 1 - _members(group, count)

    slips = {
        "a gate feels its weights with their signs: add up in each sample before |.|": by(start=Tensor.abs),
        "|.| of each sample, then the mean over samples": by(end=lambda sums: sums.mean(0).abs()),
        "no sign is left in an importance: |.| of each sample": by(end=lambda sums: sums.mean(0)),
        "by the chain rule each derivative is multiplied by its weight": by(size=torch.ones_like),
        "by the chain rule a weight counts with its sign": by(size=Tensor.abs),
        "by the chain rule the weight, not its square": by(size=Tensor.square),
        "divided by its weight? a = 1 gives a theta, and its derivative by a is theta": by(
            size=lambda theta: torch.where(theta == 0, 0.0, 1 / theta)),
        "a gate moves all weights of its group: their sum, not their mean": averaged,
        "the root of summed squares is what one takes who knows no signs; here they are": rooted,
        "all weights of the group, not the strongest alone": the_largest,
        "-1 belongs to no group, not to the last": by(members=lambda group, count: _members(
            group % count, count)),
        "-1 belongs to no group, not to the first": by(members=lambda group, count: _members(
            group.clamp(min=0), count)),
        "a group without weights has an importance of 0, and its place": by(
            members=lambda group, count: _members(group, count)[:, _members(group, count).any(0)]),
        "weights of a group need not lie side by side": side_by_side,
        "its own weights, not all others": by(members=all_but),
        "the absolute value, not the square": by(end=lambda sums: sums.square().mean(0)),
        "the mean of |.|, not the root of the mean square": by(
            end=lambda sums: sums.square().mean(0).sqrt()),
        "the mean over samples, not their sum": by(end=lambda sums: sums.abs().sum(0)),
        "an importance, not its logarithm": by(end=lambda sums: sums.abs().mean(0).log()),
    }  # fmt: skip
    judge(answer, by(), cases, slips)
    print("scaled_together: right")
