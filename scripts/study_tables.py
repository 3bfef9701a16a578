"""The tables of the study as data: which jobs make them, how they are computed, what their rows are called.

`study_plan.py` counts what is left of them, `check_study.py` computes a random twentieth anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import study
import study_audit
import study_choice
import study_wider

from lfssd_nb.lab import audits, cases, records, sweep_cases, trials
from lfssd_nb.lab.cases import Case
from lfssd_nb.lab.trials import Trial

CASE = ("data", "architecture", "scenario", "target", "seed")
ACCURACIES = ("retain_train_acc", "forget_train_acc", "retain_test_acc", "forget_test_acc")


@dataclass(frozen=True)
class Table:
    """``jobs()``: all of them; ``compute(jobs, folder, n_jobs=...)``; ``names``: the columns that tell rows
    apart; ``compared``: those to compare, first the one whose mean is judged; ``golds``: the gold models that
    a case is trained for; ``made_in``: the folder in build with the finished records."""

    jobs: Callable[[], list]
    compute: Callable
    names: tuple[str, ...]
    compared: tuple[str, ...]
    golds: Callable[[Case], Sequence[int]] = cases.every_gold
    made_in: str = "study"
    suffix: str = ".csv"


def tuning() -> list[Trial]:
    """The trials of the committed table, on ladders as long as they became."""
    rows = study.read(study.RECORDS / "tuning.csv")
    found = []
    for net, kind in product(study.NETS, study.TARGETS):
        there = rows[(rows.architecture == study.NETS[net].name) & (rows.scenario == kind)]
        several = study.held_out(net, kind)
        for ladder in study.ladders(kind, set(study.METHODS)):
            mine = there[(there.method == ladder.method) & (there.variant == ladder.variant)]
            found += [Trial(case, ladder, value) for value in mine.value.unique() for case in several]
    return found


def comparison() -> list:
    chosen = study.read(study.RECORDS / "tuning.csv")
    return [run for net in study.NETS for run in study.grid(net, set(study.METHODS), chosen)]


def audited() -> list:
    methods = [name for name in study.METHODS if name not in study_audit.NOT_AUDITED]
    chosen = study.read(study.RECORDS / "tuning.csv")
    return study_audit.planned(10, methods, list(study_audit.TARGETS), chosen)


def by_case(each) -> tuple:
    return each.case.importances, each.case.kind


def none(case) -> tuple:
    """Trials read no gold models."""
    return ()


TABLES = {
    "tuning": Table(
        tuning,
        partial(records.resume, compute=trials.judge, by=by_case, golds=none),
        ("key",),
        ("loss", "retained", "unseen", "forgotten"),
        golds=none,
    ),
    "methods": Table(comparison, records.run, ("key",), ("tow", *ACCURACIES, "mia", "js_forget")),
    "all_digits": Table(study.all_digits, records.run, ("key",), ("tow", *ACCURACIES, "mia", "js_forget")),
    "sweeps": Table(
        study.sweeps,
        sweep_cases.run,
        (*CASE, "estimator"),
        ("gap", "retained", "forgotten", "selected"),
        suffix=".csv.gz",
    ),
    "choice": Table(
        study_choice.choices,
        study_choice.run,
        (*CASE, "rule"),
        ("gap", "retained", "forgotten", "changed"),
        golds=study_choice.golds_of,
    ),
    "wider": Table(
        study_wider.jobs,
        study_wider.run,
        (*CASE, "lam", "layers"),
        ("gap", "retained", "forgotten", "loss"),
        golds=study_choice.golds_of,
    ),
    "audit": Table(
        audited,
        partial(records.resume, compute=audits.audited, by=lambda each: each.case),
        (*CASE, "method"),
        ("distance", *ACCURACIES, "entropy", "loss", "residual"),
        made_in="audit",
    ),
}
