"""Choosing alpha without gold: what each rule's choice comes to, on every kind of data and request (page 12).

A stage of `study.py` (``scripts/study.py rules``), or alone:

    python scripts/study_choice.py [PART ...]    computes what build/study lacks (default: all of `PARTS`)
    python scripts/study_choice.py collect       writes lfssd_nb/lab/committed/choice.csv of what is finished

`choice_on_gpu.py` computes the same for `ON_GPU`, on CIFAR.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import ClassVar

import pandas as pd
from torch import nn

from lfssd_nb import agreement, baselines
from lfssd_nb.baselines import METHODS, adaptive
from lfssd_nb.importance import sensitivity
from lfssd_nb.lab import cases, record_files, records, sweep_cases, tuning
from lfssd_nb.lab.cases import Case
from lfssd_nb.lab.read_records import RECORDS
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.forward import logits
from lfssd_nb.networks.recipes import Recipe
from lfssd_nb.paper.published import FINE
from lfssd_nb.paper.sizes import PROFILES
from lfssd_nb.redampen import Dial
from lfssd_nb.sweeps import grids
from lfssd_nb.system import files
from lfssd_nb.system.stopwatch import counting
from lfssd_nb.unlearn import default_alpha

ROOT = Path(__file__).resolve().parent.parent
RESNET, VIT = Architecture("resnet18", 16), Architecture("vit")
GRU, CONV = Architecture("gru"), Architecture("conv1d")
TEN = tuple(map(str, range(10)))


@dataclass(frozen=True)
class Part:
    """Every target with every training seed; ``golds``: seeds of gold models; ``how``: more of a `Case`."""

    data: str
    network: Architecture
    kind: str
    targets: tuple[str, ...]
    seeds: Sequence[int]
    golds: tuple[int, ...] = (10,)
    how: dict = field(default_factory=dict)


PARTS = {
    "class": Part("digits", RESNET, "class", TEN, range(3)),
    "subclass": Part("digits5", RESNET, "subclass", ("0", "1", "2", "3", "8"), range(3), (10, 11)),
    "random": Part("digits", RESNET, "random", ("14@0", "140@0", "1@0", "1@1"), range(3)),
    "watch": Part("watch", CONV, "class", tuple(map(str, range(7))), range(2)),
    "person": Part("watch", CONV, "group", ("subject 1", "subject 2", "subject 3"), range(2)),
    "names": Part("names", GRU, "class", ("0", "3", "7", "10"), range(2)),
    "vit": Part("digits", VIT, "class", ("0", "1", "3", "8", "9"), range(2)),
    "vit subclass": Part("digits5", VIT, "subclass", ("1", "3", "8"), range(2)),
}
WIDE = Architecture("resnet18", 64)
LITTLE = dict(images=10_000, recipe=Recipe(6), device="cuda")
PAPER = dict(recipe=PROFILES["paper"].recipes["*", "resnet18"], device="cuda")
ON_GPU = {
    "little": Part("cifar10", RESNET, "class", TEN, range(6), how=LITTLE),
    "cifar10": Part("cifar10", WIDE, "class", ("0", "2", "4", "7"), range(3), how=PAPER),
    "cifar100": Part("cifar100", WIDE, "class", FINE[:4], range(3), how=PAPER),
    "cifar20": Part("cifar20", WIDE, "subclass", FINE[:4], range(3), how=PAPER),
    "cifar10 random": Part("cifar10", WIDE, "random", ("100@0", "100@1", "1@0"), range(3), how=PAPER),
}


@dataclass(frozen=True)
class Choice:
    """LFSSD on one case with the alpha that each rule chooses, at lambda 1. ``others``: targets of the same
    kind, with which the tuned rule is tuned."""

    measured: ClassVar[tuple[str, ...]] = ("rule", "scale", "gap")

    case: Case
    others: tuple[str, ...]

    @property
    def key(self) -> str:
        """A hash of all that decides the record."""
        mine = [self.case.identity, self.others, agreement.THRESHOLDS, tuning.SCALES]
        return cases.key(["choice", cases.SCHEMA, mine])


def choices(parts: Iterable[Part] = PARTS.values()) -> list[Choice]:
    """Every case of the parts; the tuned rule sees the next two targets of the list."""
    found = []
    for part in parts:
        for seed, (k, target) in product(part.seeds, enumerate(part.targets)):
            several = (part.targets[(k + step) % len(part.targets)] for step in (1, 2))
            others = tuple(other for other in dict.fromkeys(several) if other != target)
            case = Case(part.data, part.network, part.kind, target, seed, part.golds, **part.how)
            found.append(Choice(case, others))
    return found


def run(several: Sequence[Choice], folder: Path, n_jobs: int | None = None) -> None:
    """Computes what the folder lacks: models first, then case by case, I(D) once for each original."""
    records.resume(several, folder, choose, n_jobs, original, golds=golds_of)


def golds_of(case: Case) -> tuple[int, ...]:
    """The gold models of a case that these studies read: not the one of its own seed."""
    return case.gold_seeds


def original(each: Choice) -> tuple:
    """What cases must share to be computed together: the original, and the kind of request."""
    return each.case.training(each.case.seed), each.case.kind


def load(folder: Path) -> pd.DataFrame:
    """All finished records."""
    return sweep_cases.load(folder, choices())


def choose(
    batch: Sequence[Choice],
    folder: Path,
    known: records.Known | None = None,
    tuned: dict[str, tuple[pd.DataFrame, int]] | None = None,
) -> None:
    """The records of some cases on one original. ``known`` and ``tuned``: what an earlier batch on the same
    original has computed (`records.known_of`, and an empty dict)."""
    known, tuned = known or records.known_of(batch[0].case), {} if tuned is None else tuned
    for each in batch:
        if record_files.wanted(folder, each, quiet=True):
            files.write_json(records.record(folder, each), by_rule(each, known, tuned))


def by_rule(each: Choice, known: records.Known, tuned: dict[str, tuple[pd.DataFrame, int]]) -> list[dict]:
    """A row a rule, and a row ``curve`` for each threshold that agreement tried. Judged are the test images
    (`grids.exam`), against the mean of the case's gold models; only the oracle sees them.

    ``scale``: alpha' = alpha N_f / N (NaN for XALFSSD); ``kept`` and ``left``: shares of the original's
    answers on samples of D_r and D_f (agreement's rows), ``aim``: what it aims at on D_f; ``changed``: share
    of the weights; ``images``: so many went forward while choosing, LFSSD's importances not counted.
    """
    case, (model, _), (_, scenario) = each.case, known, cases.setting(each.case)
    task, pair, seen_by, gold = prepared(case, known)
    dial, unit, rows = Dial(model, *pair), scenario.ceiling, []

    def add(rule: str, alpha: float, images: int, chosen: nn.Module | None = None, **more):
        chosen = chosen or dial.at(alpha)
        weights = zip(model.parameters(), chosen.parameters(), strict=True)
        changed = sum(int((p != q).sum()) for p, q in weights) / sum(p.numel() for p in model.parameters())
        seen = seen_by(chosen)
        row = case.columns | dict(n_forget=len(scenario.forget), rule=rule, scale=alpha / unit)
        row |= seen.to_dict() | gold.add_prefix("gold_").to_dict() | more
        rows.append(row | dict(gap=(seen - gold).abs().mean(), changed=changed, images=images))

    found = agreement.chosen(model, *pair, task.forget_x, task.full_x, seed=case.seed)
    for cell in found.curve.itertuples():
        add("curve", cell.alpha, 0, kept=cell.kept, left=cell.left, aim=found.aim)
    best = min(rows, key=lambda row: row["gap"])
    at_0 = agreement.judged(found.curve, 0.0, min(1000, len(scenario.forget)))
    usual = default_alpha("lfssd", model, pair[1].samples, pair[0].samples)
    size = adaptive.percentile_size(*(i.samples for i in pair))
    scale, images = _tuned(each, known, tuned)
    adapted, _, sent = records.performed(METHODS["xalfssd"], model, task, {})
    add("nothing", found.curve.alpha.max(), 0)
    add("default", usual, 0)
    add("agreement", found.alpha, found.samples, aim=found.aim)
    add("agreement, aim 0", float(at_0.alpha[at_0.chosen].item()), found.samples, aim=0.0)
    add("percentile", adaptive.alpha_at(adaptive.ratios(*pair), size), 0)
    add("XALFSSD", float("nan"), sent, adapted)
    add("tuned", scale * unit, images)
    add("oracle", best["scale"] * unit, 0)
    return rows


def prepared(case: Case, known: records.Known) -> tuple[baselines.Task, tuple, Callable, pd.Series]:
    """The task, LFSSD's importances of D_f and D, accuracies of a model on the test images, and the mean of
    those over the gold models."""
    (model, memory), (d, scenario) = known, cases.setting(case)
    x, judge = grids.exam(d, scenario)

    def seen_by(one: nn.Module) -> pd.Series:
        return pd.Series(judge(logits(one, x)))

    gold = pd.DataFrame([seen_by(one) for one in cases.other_golds(case, d, scenario)]).mean()
    task = baselines.make(d, scenario, case.architecture, case.recipe, case.seed, memory)
    pair = sensitivity(model, task.forget_x), memory.importance(sensitivity, model, task.full_x)
    return task, pair, seen_by, gold


def _tuned(
    each: Choice, known: records.Known, tables: dict[str, tuple[pd.DataFrame, int]]
) -> tuple[float, int]:
    """alpha' by the protocol of `lab.tuning`, from the ``others``, and the samples that it took."""
    model, memory = known
    for target in each.others:
        if target not in tables:
            case = replace(each.case, target=target)
            d, scenario = cases.setting(case)
            exam, measure = tuning.measured_on_training(d, scenario)
            aim = tuning.aim_of(model, d, scenario)
            with counting(type(model)) as seen:
                i_f = sensitivity(model, d.train_x[scenario.forget])
                task = baselines.make(d, scenario, case.architecture, case.recipe, case.seed)
                pair = {"lfssd": (i_f, memory.importance(sensitivity, model, task.full_x))}
                cells = tuning.tried(model, pair, exam, measure, aim, tuning.SCALES)
            tables[target] = cells, seen[0]
    mine = [tables[target] for target in each.others]
    return tuning.best(pd.concat([cells for cells, _ in mine]))["lfssd"], sum(n for _, n in mine)


def collect(folder: Path) -> None:
    """Writes the committed table of what is finished."""
    found = load(folder)
    found.round(5).to_csv(RECORDS / "choice.csv", index=False)
    print(f"{len(found)} rows of {(found.rule == 'agreement').sum()} cases in choice.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}, or collect")
    args, folder = parser.parse_args(), ROOT / "build" / "study"
    if args.parts != ["collect"]:
        run(choices(PARTS[name] for name in args.parts or PARTS), folder)
    collect(folder)


if __name__ == "__main__":
    main()
