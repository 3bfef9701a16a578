"""Are the committed records what a re-run gives? A random twentieth of every table of the study, anew.

    python scripts/check_study.py [TABLE ...] [--share 0.05] [--seed 0] [--jobs N]

Draws jobs of each table of `TABLES` (default: all), computes them from nothing but their settings (models
included, unless the cache has them) in build/check, and prints how far their rows are apart, and how long it
took. On the processor and PyTorch that wrote them all digits agree; on another one networks differ, and so do
records: then the mean difference of the first column compared, by networks, with its 95 % interval, tells
whether anything but chance does. The exit code is 1 if 0 lies outside of one, or a method fails that did not.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import pandas as pd
from study import RECORDS, ROOT, read
from study_tables import TABLES

from lfssd_nb.audit import paired_differences
from lfssd_nb.lab import record_files, records


def rows_of(jobs: Sequence, folder: Path) -> pd.DataFrame:
    """All rows of the jobs' records."""
    found = [(each, record_files.rows(records.record(folder, each), each.measured)) for each in jobs]
    return pd.DataFrame([{"key": each.key} | row for each, rows in found for row in rows])


def named(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Indexed by ``names``; rows of the same name by their order."""
    texts = table.assign(target=table.target.astype(str))
    return texts.assign(nth=texts.groupby([*names]).cumcount()).set_index([*names, "nth"])


def told(stored: pd.DataFrame, anew: pd.DataFrame, compared: Sequence[str]) -> int:
    """Prints the comparison of two tables with the same index; 1 if they differ by more than chance."""
    mine, theirs = anew[[*compared]], stored[[*compared]]
    apart = (mine - theirs).abs().mask(mine.isna() & theirs.isna(), 0.0)  # what a scenario does not have
    same = int((apart < 1e-4).all(axis=1).sum())
    print(f"{len(anew)} rows, {same} of them equal in all of {len(compared)} columns")
    print(apart.describe().loc[["50%", "max"]].round(4).to_string())
    first, cases = compared[0], stored.reset_index()
    networks = cases.architecture + " " + cases.data + " " + cases.seed.astype(str)
    values = {"stored": theirs, "anew": mine}
    about = pd.DataFrame({"network": networks, "row": range(len(networks))})
    both = pd.concat([about.assign(which=which, value=table[first].array) for which, table in values.items()])
    how = dict(of="which", cluster="network", within="row")
    mean, half, n = paired_differences(both, "value", "stored", **how).loc["anew", ["mean", "half", "n"]]
    print(f"{first}, anew minus stored: {mean:+.4f} +- {half:.4f} ({n:.0f} networks)")
    failed = (errors(anew) & ~errors(stored)).any()
    return int(failed or abs(mean) > max(half, 1e-9))


def errors(table: pd.DataFrame) -> pd.Series:
    """Which rows say that a method failed."""
    return table["error"].notna() if "error" in table else pd.Series(False, table.index)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tables", nargs="*", default=[*TABLES], metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, help="default: all cores")
    args = parser.parse_args()
    if unknown := {*args.tables} - {*TABLES}:
        parser.error(f"no table {', '.join(sorted(unknown))}; there are {', '.join(TABLES)}")
    folder, code = ROOT / "build" / "check", 0
    for name in args.tables:
        table, start = TABLES[name], perf_counter()
        jobs = table.jobs()
        drawn = random.Random(args.seed).sample(jobs, round(args.share * len(jobs)))
        table.compute(drawn, folder, n_jobs=args.jobs)
        minutes = (perf_counter() - start) / 60
        print(f"\n{name}: {len(drawn)} of {len(jobs)} jobs anew, {minutes:.1f} minutes", flush=True)
        anew = named(rows_of(drawn, folder), table.names)
        stored = named(read(RECORDS / f"{name}{table.suffix}"), table.names)
        code |= told(stored.loc[anew.index], anew, table.compared)
    sys.exit(code)


if __name__ == "__main__":
    main()
