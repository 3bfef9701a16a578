"""Are the committed records of the comparison what a re-run gives? A random twentieth of them, anew.

    python scripts/check_study.py [--share 0.05] [--seed 0] [--jobs N]

Draws rows of methods.csv, computes them from nothing but their settings (models included, unless the cache
has them) in build/check, and prints how far they are apart. On the processor and PyTorch that wrote them all
digits agree; on another one networks differ, and so do records: then the mean difference of ToW, by networks,
with its 95 % interval, tells whether anything but chance does. The exit code is 1 if 0 lies outside of it, or
a record failed.
"""

import argparse
import sys

import pandas as pd
from study import METHODS, NETS, RECORDS, ROOT, grid, read

from lfssd_nb.audit import paired_differences
from lfssd_nb.lab import records

COMPARED = (
    "retain_train_acc",
    "forget_train_acc",
    "retain_test_acc",
    "forget_test_acc",
    "mia",
    "tow",
    "js_forget",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, help="default: all cores")
    args = parser.parse_args()
    stored = read(RECORDS / "methods.csv").set_index("key")
    drawn = {*stored.sample(frac=args.share, random_state=args.seed).index}
    tuning = read(RECORDS / "tuning.csv")
    runs = [run for net in NETS for run in grid(net, set(METHODS), tuning) if run.key in drawn]
    anew = records.run(runs, ROOT / "build" / "check", args.jobs).set_index("key")
    sys.exit(told(stored.loc[anew.index], anew))


def told(stored: pd.DataFrame, anew: pd.DataFrame) -> int:
    """Prints the comparison of two tables with the same index; 1 if they differ by more than chance."""
    mine, theirs = anew[[*COMPARED]], stored[[*COMPARED]]
    apart = (mine - theirs).abs().mask(mine.isna() & theirs.isna(), 0.0)  # what a scenario does not have
    same = int((apart < 1e-4).all(axis=1).sum())
    print(f"{len(anew)} records, {same} of them equal in all of {len(COMPARED)} columns")
    print(apart.describe().loc[["50%", "max"]].round(4).to_string())
    both = pd.concat({"stored": stored, "anew": anew}, names=["which", "key"]).reset_index()
    both["case"] = both.key
    found = paired_differences(both, "tow", "stored", of="which", cluster="seed", within="case").loc["anew"]
    print(f"ToW, anew minus stored: {found['mean']:+.4f} +- {found['half']:.4f} ({found['n']:.0f} networks)")
    failed = "error" in anew and anew.error.notna().any()
    return int(failed or abs(found["mean"]) > max(found["half"], 1e-9))


if __name__ == "__main__":
    main()
