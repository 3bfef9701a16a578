"""An exercise of page 20: layers in which a sample's logits depend on its company in the batch."""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from ...precision import evaluating
from .judge import judge, numbers


class _Company(nn.Module):
    """Logits that see the batch by ``mix``; in train mode they are centred, as by batch norm."""

    def __init__(self, mix: Callable[[Tensor], Tensor], seed: int):
        super().__init__()
        self.first, self.head, self.mix = nn.Identity(), nn.Linear(3, 4).double(), mix
        self.head.load_state_dict({"weight": numbers(4, 3, seed=seed), "bias": numbers(4, seed=seed + 1)})

    def forward(self, x: Tensor) -> Tensor:
        z = self.head(self.first(x).tanh())
        return self.mix(z - z.mean(0) / 2 if self.head.training else z)


def _company(mix: Callable[[Tensor], Tensor], seed: int, train: bool = False) -> _Company:
    with torch.random.fork_rng(devices=[]):
        model = _Company(mix, seed)
    return model.train(train)


def company(answer: Callable[[nn.Module, Tensor], Tensor]) -> None:
    """Exercise 20: ``answer(model, x)`` returns for each sample the largest absolute difference ``[N]``
    between its logits in the batch x and alone, in eval mode."""
    x = 2 * numbers(7, 3, seed=5)
    partly = _company(lambda z: z + 0.5 * z.mean(0), 4, train=True)
    partly.first.eval()

    def beside(z: Tensor) -> Tensor:
        return z + 0.3 * z.roll(1, 0)

    cases = {
        "a mean over the batch": (_company(lambda z: z + z.mean(0).tanh(), 0), x),
        "a sample that sees the one before": (_company(beside, 2), x),
        "all see the first": (_company(lambda z: z - 0.7 * z[:1], 6), x),
        "nothing is mixed": (_company(lambda z: z * 2, 8), x),
        "a model in train mode, which mixes nothing else": (_company(lambda z: z, 10, train=True), x),
        "a model of which parts are in train mode": (partly, x),
        "a single sample": (_company(beside, 12), x[:1]),
        "a larger batch": (_company(lambda z: z + z.amax(0) / 2, 14), 2 * numbers(12, 3, seed=6)),
    }

    def alone(model: nn.Module, x: Tensor, with_it: Callable = lambda one: one) -> Tensor:
        return torch.cat([model(with_it(one))[:1] for one in x.split(1)])

    def by(
        end: Callable = lambda d: d.abs().amax(1), of: Callable = lambda z: z, other: Callable = alone,
        eval_: bool = True, first: Callable = lambda model, x: model(x),
    ) -> Callable:  # fmt: skip
        def apart(model: nn.Module, x: Tensor) -> Tensor:
            with torch.no_grad(), evaluating(model) if eval_ else nullcontext():
                return end(of(first(model, x)) - of(other(model, x)))

        return apart

    def to_others(model: nn.Module, x: Tensor) -> Tensor:
        """What each sample does to all others, when it is taken away"""
        found = torch.zeros(len(x)).double()
        with torch.no_grad(), evaluating(model):
            for k in range(len(x) if len(x) > 1 else 0):
                others = torch.arange(len(x)) != k
                found[k] = (model(x)[others] - model(x[others])).abs().max()
        return found

    def in_pairs(model: nn.Module, x: Tensor) -> Tensor:
        return alone(model, x, lambda one: torch.cat([one, x[:1]]))

    def zeros(one: Tensor) -> Tensor:
        return torch.cat([one, 0 * one, 0 * one])

    def copies(one: Tensor) -> Tensor:
        return one.expand(5, -1)

    slips = {
        "another order hides a mean over the batch: let each sample be alone": by(
            other=lambda model, x: model(x.flip(0)).flip(0)),
        "copies of a sample are the same company as none: compare with the batch": by(
            first=lambda model, x: alone(model, x, copies)),
        "in eval mode: in train mode normalisation mixes the batch, which is no fault of the network": by(
            eval_=False),
        "zeros are company, too: alone is a batch of one": by(
            other=lambda model, x: alone(model, x, zeros)),
        "one other sample is company, too: alone is a batch of one": by(other=in_pairs),
        "each sample has a number of its own, not one for the batch": by(
            lambda d: d.abs().max().expand(len(d))),
        "a maximum over the logits of each sample, not over samples": by(lambda d: d.abs().amax(0)),
        "the largest difference of a sample's logits, not their mean": by(lambda d: d.abs().mean(1)),
        "the largest difference of a sample's logits, not their sum": by(lambda d: d.abs().sum(1)),
        "the largest difference, not the length of all": by(lambda d: d.norm(dim=1)),
        "the largest difference, not its square": by(lambda d: d.square().amax(1)),
        "a logit may rise or fall: |.| before the maximum": by(lambda d: d.amax(1)),
        "a logit may fall or rise: |.| before the maximum": by(lambda d: (-d).amax(1)),
        "logits, not answers: most that mixes changes no answer": by(
            lambda d: (d.abs().amax(1) > 0).double(), lambda z: z.argmax(1, keepdim=True)),
        "by how much, not whether": by(lambda d: (d.abs().amax(1) > 1e-9).double()),
        "each logit by itself: equal lengths can hide a change": by(
            lambda d: d.abs(), lambda z: z.square().sum(1)),
        "logits, not probabilities": by(of=lambda z: z.softmax(1)),
        "look at every sample, not at the first alone": by(
            lambda d: d.abs().amax(1) * (torch.arange(len(d)) == 0)),
        "what the batch does to a sample, not what the sample does to the batch": to_others,
        "a difference, not a share of the largest logit": lambda model, x: by()(model, x) / (
            by(other=lambda model, x: torch.zeros(()))(model, x)),
    }  # fmt: skip
    judge(answer, by(), cases, slips)
    print("company: right")
