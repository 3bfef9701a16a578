"""Experiments: one comparison, or thousands of records, resumable, on all cores or a cluster."""

from . import audits, cases, jobs, multiprocess, read_records, records, sweep_cases, tuning
from .cases import Case, Run
from .comparison import Comparison, compare, evaluate, forget, over_seeds
from .read_records import RECORDS, labelled, read
from .records import load, run
from .sweep_cases import Sweep

__all__ = [
    "RECORDS",
    "Case",
    "Comparison",
    "Run",
    "Sweep",
    "audits",
    "cases",
    "compare",
    "evaluate",
    "forget",
    "jobs",
    "labelled",
    "load",
    "multiprocess",
    "over_seeds",
    "read",
    "read_records",
    "records",
    "run",
    "sweep_cases",
    "tuning",
]  # fmt: skip
