"""The records of notebook 08, audit.csv: N networks of every method beside 2 N gold networks.

A class (digit 3), a sub-class (8 of 0/8) and 70 random images, ResNet18 of width 16; ten originals, twenty
gold networks, every registered method on each original. Resumable: finished records in build/audit are never
computed again. 40 minutes on two cores with AVX2, from nothing.

Settings: those that the study chose (tuning.csv); LFSSD and SSD choose alpha by agreement. A slice:
``--seeds 2 --methods lfssd ssd scrub --scenarios class --out /tmp/slice.csv``.
"""

import argparse
from pathlib import Path

import pandas as pd
from study import AGREEMENT, DATA, LEFT_OUT, NETS, RECORDS, ROOT, chosen, read

from lfssd_nb.baselines import METHODS
from lfssd_nb.lab import audits
from lfssd_nb.lab.audits import GOLD, Audit
from lfssd_nb.lab.cases import Case

TARGETS = {"class": "3", "subclass": "8", "random": "70@0"}
NOT_AUDITED = (*LEFT_OUT, "retrain")  # the gold networks stand for it
OURS = {(name, "tuned"): {"alpha": AGREEMENT} for name in ("lfssd", "ssd")}


def planned(seeds: int, methods: list[str], kinds: list[str], tuning: pd.DataFrame) -> list[Audit]:
    """Every method on ``seeds`` originals of each scenario, and twice as many gold networks."""
    found = []
    for kind in kinds:
        how = chosen(tuning, "resnet18", kind) | OURS
        case = [
            Case(DATA[kind], NETS["resnet18"], kind, TARGETS[kind], seed, tuple(range(2 * seeds)))
            for seed in range(seeds)
        ]
        found.append(Audit(case[0], GOLD))
        for each in case:
            for name in methods:
                if kind in METHODS[name].kinds:
                    found.append(Audit(each, name, how.get((name, "tuned"), {})))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--seeds", type=int, default=10, help="originals, and half the number of gold networks"
    )
    parser.add_argument("--methods", nargs="+", default=[m for m in METHODS if m not in NOT_AUDITED])
    parser.add_argument("--scenarios", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--jobs", type=int, help="default: all cores")
    parser.add_argument("--out", type=Path, default=RECORDS / "audit.csv")
    args = parser.parse_args()
    plan = planned(args.seeds, args.methods, args.scenarios, read(RECORDS / "tuning.csv"))
    print(f"{len(plan)} records on {len({each.case for each in plan})} cases")
    found = audits.run(plan, ROOT / "build" / "audit", args.jobs)
    found.round(4).to_csv(args.out, index=False)
    print(f"{len(found)} rows in {args.out}")


if __name__ == "__main__":
    main()
