"""Exercises of page A1, functions to mend: a choice that is its own judge, a model that is not left alone,
a loader that deals twice."""

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from .judge import chosen, judge, numbers

Report = tuple[int, float]


def _reported(by: Callable[[Tensor, Tensor], Tensor], on: Callable[[Tensor, Tensor], Tensor]) -> Callable:
    """The setting that is best in ``by(hits, study)``, and its accuracy in ``on(hits, study)``."""

    def report(hits: Tensor, study: Tensor) -> Report:
        best = int(by(hits, study).double().mean(1).argmax())
        return best, 100 * float(on(hits, study)[best].double().mean())

    return report


def _every(hits: Tensor, study: Tensor) -> Tensor:
    return hits


def _study(hits: Tensor, study: Tensor) -> Tensor:
    return hits[:, study]


def _rest(hits: Tensor, study: Tensor) -> Tensor:
    rest = torch.ones(hits.shape[1], dtype=torch.bool)
    rest[study] = False
    return hits[:, rest]


def reported(answer: Callable[[Tensor, Tensor], Report]) -> None:
    """Exercise A1: ``answer(hits, study)`` returns the setting that is best on the images ``study``, and its
    accuracy in percent on the others; ``hits`` says which settings are right on which images."""
    hits = chosen(240, 4, seed=1).reshape(8, 30) > 0
    half, few = (torch.randperm(30, generator=torch.Generator().manual_seed(5))[:n] for n in (15, 6))
    cases = {
        "eight settings, half of the images to choose by": (hits, half),
        "six of thirty images to choose by": (hits, few),
        "the other images are few": (hits.flip(0), torch.arange(2, 28)),
        "settings that are equally good": (hits[[3, 3, 5, 5]], half),
    }
    right = _reported(_study, _rest)

    def last(hits: Tensor, study: Tensor) -> Report:
        best = len(hits) - 1 - int(hits[:, study].flip(0).double().mean(1).argmax())
        return best, 100 * float(_rest(hits, study)[best].double().mean())

    slips = {
        "the images that chose the setting must not report on it": _reported(_every, _every),
        "reported on the images that chose it: the best of many is partly luck": _reported(_study, _study),
        "the report still holds the images that chose": _reported(_study, _every),
        "the images of the report took part in the choice": _reported(_every, _rest),
        "chosen on the very images of the report": _reported(_rest, _rest),
        "`study` is to choose by, the others to report on": _reported(_rest, _study),
        "the accuracy of the chosen setting, not the largest of all": lambda h, s: (
            right(h, s)[0], 100 * float(_rest(h, s).double().mean(1).max())),
        "the accuracy of the chosen setting, not the mean of all": lambda h, s: (
            right(h, s)[0], 100 * float(_rest(h, s).double().mean())),
        "the best setting, not the worst": _reported(lambda h, s: ~_study(h, s), _rest),
        "in percent, 0 to 100": lambda h, s: (right(h, s)[0], right(h, s)[1] / 100),
        "a share of the other images, not how many are right": lambda h, s: (
            right(h, s)[0], float(_rest(h, s)[right(h, s)[0]].sum())),
        "of equally good settings the first": last,
        "first the setting, then its accuracy": lambda h, s: right(h, s)[::-1],
        "the right answers, not the wrong ones": lambda h, s: (right(h, s)[0], 100 - right(h, s)[1]),
    }  # fmt: skip
    judge(answer, right, cases, slips)
    print("reported: right")


def _model(seed: int, frozen: bool = False) -> nn.Sequential:
    """In train mode, with a batch norm whose statistics stay as they are, so that only the mode matters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        middle = nn.BatchNorm1d(4, momentum=0.0)
        model = nn.Sequential(nn.Linear(3, 4), middle, nn.Tanh(), nn.Linear(4, 5)).double()
        middle.running_mean.normal_()
        middle.running_var.uniform_(0.5, 2.0)
        middle.num_batches_tracked = None
        model[1].train(not frozen)
        return model


def _asked(mode: bool, parts: Callable[[Tensor, int], tuple], after: Callable = torch.cat) -> Callable:
    """Outputs of the model in train mode (or not) for ``parts`` of the images, put together by ``after``."""

    def outputs(model: nn.Module, x: Tensor, size: int) -> Tensor:
        model = copy.deepcopy(model) if mode else copy.deepcopy(model).eval()
        with torch.no_grad():
            return after([model(part) for part in parts(x, size)])

    return outputs


def undisturbed(answer: Callable[[nn.Module, Tensor, int], Tensor]) -> None:
    """Exercise A1: ``answer(model, x, size)`` returns the model's logits in eval mode, in batches of
    ``size``, and leaves every module in the mode in which it came."""
    x = numbers(14, 3, seed=2)
    cases = {
        "a model in train mode": (_model(0), x, 4),
        "another, batches of 3 and a last one of 2": (_model(1), x, 3),
        "all images in one batch": (_model(2), x, 20),
        "a model in eval mode": (_model(3).eval(), x, 4),
        "a frozen batch norm in a model in train mode": (_model(4, frozen=True), x, 6),
    }

    def fresh(model: nn.Sequential, x: Tensor, size: int) -> Tensor:
        model = copy.deepcopy(model)
        model[1].running_mean.zero_()
        model[1].running_var.fill_(1.0)
        return _asked(False, Tensor.split)(model, x, size)

    eval_of = _asked(False, Tensor.split)
    slips = {
        "in train mode batch norm mixes the images of a batch: eval()": _asked(True, Tensor.split),
        "one large batch is still a batch: eval()": _asked(True, lambda x, size: (x,)),
        "the last, smaller batch counts too": _asked(
            False, lambda x, size: x[: max(len(x) // size, 1) * size].split(size)),
        "all batches, not the first alone": _asked(False, lambda x, size: (x[:size],)),
        "all batches, not the last alone": _asked(False, lambda x, size: x.split(size)[-1:]),
        "keep what batch norm learnt: its statistics must not be reset": fresh,
        "in the order of the images": lambda m, x, size: eval_of(m, x.flip(0), size),
        "logits, not probabilities": lambda *given: eval_of(*given).softmax(1),
        "logits, not the logarithms of probabilities": lambda *given: eval_of(*given).log_softmax(1),
        "logits, not answers": lambda *given: eval_of(*given).argmax(1),
        "a row for each image, not a mean over them": lambda *given: eval_of(*given).mean(0),
    }  # fmt: skip
    judge(answer, eval_of, cases, slips)
    print("undisturbed: right")


class Deals:
    """Batches of (logits, labels), in another order at each pass, as a loader with ``shuffle=True``."""

    def __init__(self, z: Tensor, y: Tensor, size: int):
        self.z, self.y, self.size, self.passes = z, y, size, 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.passes += 1
        order = torch.randperm(len(self.y), generator=torch.Generator().manual_seed(self.passes))
        return iter([(self.z[part], self.y[part]) for part in order.split(self.size)])

    def __len__(self) -> int:
        return -(-len(self.y) // self.size)

    def __eq__(self, other: object) -> bool:  # to have been read is no change
        return isinstance(other, Deals)

    __hash__ = None


def _hits(batches: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    return [(z.argmax(1) == y).double() for z, y in batches]


def _percent(of: Callable[[list[tuple[Tensor, Tensor]]], Tensor | float]) -> Callable:
    return lambda loader: 100 * float(of(list(loader)))


def one_pass(answer: Callable[[Deals], float]) -> None:
    """Exercise A1: ``answer(loader)`` returns the accuracy in percent from a loader that yields (logits,
    labels) in another order at each pass."""
    z, y = numbers(22, 4, seed=3), chosen(22, 4, seed=4)
    z[torch.arange(22), y] += 1.5
    cases = {
        "22 images in batches of 5": (Deals(z, y, 5),),
        "a last batch of one image": (Deals(z[:13], y[:13], 4),),
        "batches that are all full": (Deals(z[:16], y[:16], 4),),
        "one batch": (Deals(z[:9], y[:9], 9),),
    }

    def twice(loader: Deals) -> float:
        answers, labels = torch.cat([z.argmax(1) for z, _ in loader]), torch.cat([y for _, y in loader])
        return 100 * float((answers == labels).double().mean())

    def counts(batches: list[tuple[Tensor, Tensor]]) -> float:
        answers, labels = torch.cat([z.argmax(1) for z, _ in batches]), torch.cat([y for _, y in batches])
        both = [each.bincount(minlength=4) for each in (answers, labels)]
        return float(torch.minimum(*both).sum()) / len(labels)

    def right(batches: list[tuple[Tensor, Tensor]]) -> Tensor:
        return torch.cat(_hits(batches)).mean()

    slips = {
        "the second pass comes in another order: take answers and labels in one pass": twice,
        "images of a small last batch count like all others: add up, divide once": _percent(
            lambda b: torch.stack([h.mean() for h in _hits(b)]).mean()),
        "the last, smaller batch counts too": _percent(
            lambda b: right([each for each in b if len(each[1]) == len(b[0][1])])),
        "all batches, not the first alone": _percent(lambda b: right(b[:1])),
        "all batches, not the last alone": _percent(lambda b: right(b[-1:])),
        "divide by the images, not by batches times the size of the first": _percent(
            lambda b: sum(h.sum() for h in _hits(b)) / (len(b) * len(b[0][1]))),
        "divide by the images, not by the batches": _percent(
            lambda b: sum(h.sum() for h in _hits(b)) / len(b)),
        "in percent, 0 to 100": lambda loader: float(right(list(loader))),
        "a share, not the number of right answers": lambda loader: float(torch.cat(_hits(loader)).sum()),
        "the right answers, not the wrong ones": _percent(lambda b: 1 - right(b)),
        "the answer is the largest logit, not the smallest": _percent(
            lambda b: right([(-z, y) for z, y in b])),
        "image by image: sorted answers and labels agree by counts alone": _percent(counts),
    }  # fmt: skip
    judge(answer, _percent(right), cases, slips)
    print("one_pass: right")
