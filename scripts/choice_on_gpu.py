"""Choosing alpha without gold on CIFAR, on a lent GPU: the parts `study_choice.ON_GPU` (page 12).

A training seed of every part before the next seed; every finished case is kept at once in WORK, from where
a later call goes on, as it does from the committed table. No piece is begun in less time than the longest of
its kind has taken. One process a card: choosing is many small kernels, and beside three others a case of
*little* took 66 to 106 s in place of 8 (an H200).

    python scripts/choice_on_gpu.py --minutes 9 --out OUT --work WORK --data DIR [--parts PART ...]
    python scripts/choice_on_gpu.py --collect --out OUT --work WORK    # OUT/choice.csv of what is finished
    python scripts/choice_on_gpu.py --rehearse --out OUT --work WORK --data DIR    # on a CPU, tiny
"""

import argparse
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import study_choice
import torch
from lease import Lease
from study_choice import ON_GPU, Choice, Part

from lfssd_nb.lab import cases, record_files, records, sweep_cases
from lfssd_nb.lab.jobs import single_threaded
from lfssd_nb.lab.read_records import RECORDS, read
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.recipes import Recipe
from lfssd_nb.system import device as devices
from lfssd_nb.system import files

TABLE = RECORDS / "reproduction" / "h200" / "choice.csv"


def rehearsed(part: Part) -> Part:
    """The part at the size of a test on a CPU."""
    targets = tuple(target.replace("100@", "5@") for target in part.targets[:2])
    how = dict(images=200, recipe=Recipe(4, batch_size=16), device="cpu")
    return replace(part, network=Architecture("resnet18", 8), targets=targets, seeds=(0,), how=how)


def work_through(lease: Lease, parts: dict[str, Part]) -> None:
    """Seed by seed, part by part: the networks, then case by case; until there is no time."""
    seeds = dict.fromkeys(seed for part in parts.values() for seed in part.seeds)
    for seed in seeds:
        for name, part in parts.items():
            several = [each for each in study_choice.choices([part]) if each.case.seed == seed]
            one_original(lease, name, [each for each in several if record_files.wanted(lease.work, each)])


def one_original(lease: Lease, name: str, several: list[Choice]) -> None:
    """The cases of one original: I(D) and what the tuned rule sees are computed once."""
    for case, seed, gold in cases.models(several, study_choice.golds_of).values():
        title = f"{name}, {f'gold of {case.target}' if gold else 'original'}, seed {seed}"
        if not lease.piece(f"training {name}", title, partial(lease.train, case, seed, gold)):
            return
    known, tuned = None, {}
    for each in several:
        known = known or records.known_of(each.case)
        work = partial(study_choice.choose, [each], lease.work, known, tuned)
        if not lease.piece(f"choosing {name}", f"{name}, {each.case.target}, seed {each.case.seed}", work):
            return


def unpack(work: Path, parts: dict[str, Part], table: Path = TABLE) -> None:
    """Writes a record for each case of a collected table that WORK lacks."""
    stored = read(table)
    for name, part in parts.items():
        mine = stored[stored.part == name].drop(columns="part")
        for each in study_choice.choices([part]):
            rows = mine[(mine.target == each.case.target) & (mine.seed == each.case.columns["seed"])]
            if len(rows) and record_files.wanted(work, each, quiet=True):
                files.write_json(records.record(work, each), rows.to_dict("records"))


def collect(out: Path, work: Path, parts: dict[str, Part]) -> None:
    """The table of what is finished, with the name of its part."""
    tables = {name: sweep_cases.load(work, study_choice.choices([part])) for name, part in parts.items()}
    found = pd.concat([table.assign(part=name) for name, table in tables.items()])
    found.round(5).to_csv(out / "choice.csv", index=False)
    print(f"{len(found)} rows of {(found.rule == 'agreement').sum()} cases in choice.csv")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9.0, help="how long it may take (default: 9)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the log and the tables")
    parser.add_argument("--work", type=Path, required=True, help="folder of records and networks")
    parser.add_argument("--data", type=Path, help="folder of cifar10.npz and cifar100.npz (or LFSSD_DATA)")
    parser.add_argument("--parts", nargs="+", choices=ON_GPU, default=ON_GPU, help="only these, so ordered")
    parser.add_argument("--collect", action="store_true", help="only the tables of what is finished")
    parser.add_argument("--rehearse", action="store_true", help="the same path, tiny, on a CPU")
    args = parser.parse_args(argv)
    out, work, parts = args.out.absolute(), args.work.absolute(), {name: ON_GPU[name] for name in args.parts}
    if args.rehearse:
        parts = {name: rehearsed(part) for name, part in parts.items()}
    for folder in (out, work):
        folder.mkdir(parents=True, exist_ok=True)
    os.environ |= {"LFSSD_CACHE": str(work / "cache"), "LFSSD_PROGRESS": "off"}
    if args.data:
        os.environ["LFSSD_DATA"] = str(args.data.absolute())
    if not args.rehearse:
        unpack(work, parts)
    if args.collect:
        return collect(out, work, parts)
    device = "cpu" if args.rehearse else "cuda"
    lease = Lease(60 * args.minutes, out, work, device, args.rehearse, tuple(parts))
    lease.say(f"{devices.name(torch.device(device))}, torch {torch.__version__}, {args.minutes} minutes")
    with single_threaded():  # as `records` trains
        work_through(lease, parts)
    lease.say(f"the end; {lease.left:.0f} s are left")


if __name__ == "__main__":
    main()
