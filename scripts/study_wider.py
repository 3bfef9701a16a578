"""Agreement with lambda and the layers to choose as well: does the loss tell which is best (page 12)?

A stage of `study.py` (``rules``), or alone:

    python scripts/study_wider.py            computes what build/study lacks, and collects
    python scripts/study_wider.py collect    writes lfssd_nb/lab/committed/wider.csv of what is finished
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import ClassVar

import pandas as pd
import study_choice

from lfssd_nb import agreement
from lfssd_nb.lab import cases, record_files, records, sweep_cases
from lfssd_nb.lab.cases import Case
from lfssd_nb.lab.read_records import RECORDS
from lfssd_nb.redampen import Dial
from lfssd_nb.samples import draw
from lfssd_nb.system import files

LAMS = (1.0, 0.5, 0.0)
LAYERS = ("all", "later half", "head")
PARTS = {  # as many cases as say something: a class of digits is at gold with every alpha of a plateau
    "class": replace(study_choice.PARTS["class"], targets=("1", "3", "8")),
    **{name: study_choice.PARTS[name] for name in ("subclass", "person", "names", "vit subclass")},
}


@dataclass(frozen=True)
class Wider:
    """A case, with agreement's choice for every lambda and set of layers."""

    measured: ClassVar[tuple[str, ...]] = ("lam", "layers", "loss", "gap")

    case: Case

    @property
    def key(self) -> str:
        """A hash of all that decides the record."""
        return cases.key(["wider", cases.SCHEMA, [self.case.identity, agreement.THRESHOLDS, LAMS, LAYERS]])


def jobs() -> list[Wider]:
    """Every case of the parts."""
    return [Wider(each.case) for each in study_choice.choices(PARTS.values())]


def names_of(layers: str, names: list[str]) -> list[str]:
    """The parameters of all layers, of those behind the middle of the list, or of the last layer."""
    start = {"all": 0, "later half": len(names) // 2, "head": len(names) - 2}[layers]
    return names[start:]


def run(several: Sequence[Wider], folder: Path, n_jobs: int | None = None) -> None:
    """Computes what the folder lacks: models first, then case by case."""
    records.resume(several, folder, choose, n_jobs, study_choice.original, golds=study_choice.golds_of)


def choose(batch: Sequence[Wider], folder: Path) -> None:
    """The records of some cases on one original."""
    known = records.known_of(batch[0].case)
    for each in batch:
        if record_files.wanted(folder, each, quiet=True):
            files.write_json(records.record(folder, each), cells(each.case, known))


def cells(case: Case, known: records.Known) -> list[dict]:
    """A row for each lambda and set of layers: agreement's ``alpha`` and ``loss`` there, what it keeps and
    leaves of the answers, and what test images and gold say of it."""
    model, _ = known
    task, pair, seen_by, gold = study_choice.prepared(case, known)
    dials = {layers: Dial(model, *pair, names_of(layers, list(pair[0].mean))) for layers in LAYERS}
    samples = draw(task.forget_x, task.full_x, pair[0].samples, pair[1].samples, task.forget_x, case.seed)
    rows = []
    for layers, lam in product(LAYERS, LAMS):
        found = agreement.choose(dials[layers], *samples, lam)
        at = found.curve[found.curve.chosen].iloc[0]
        seen = seen_by(dials[layers].at(found.alpha, lam))
        row = case.columns | dict(n_forget=pair[0].samples, lam=lam, layers=layers, alpha=found.alpha)
        row |= dict(aim=found.aim, loss=at.loss, kept=at.kept, left=at.left, selected=int(at.selected))
        rows.append(
            row | seen.to_dict() | gold.add_prefix("gold_").to_dict() | dict(gap=(seen - gold).abs().mean())
        )
    return rows


def load(folder: Path) -> pd.DataFrame:
    """All finished records."""
    return sweep_cases.load(folder, jobs())


def main() -> None:
    folder = study_choice.ROOT / "build" / "study"
    if sys.argv[1:] != ["collect"]:
        run(jobs(), folder)
    found = load(folder)
    found.round(5).to_csv(RECORDS / "wider.csv", index=False)
    print(f"{len(found)} rows of {len(found) // len(LAMS) // len(LAYERS)} cases in wider.csv")


if __name__ == "__main__":
    main()
