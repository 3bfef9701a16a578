"""Choosing alpha without gold on CIFAR, on a lent GPU: the parts `study_choice.ON_GPU` (page 12).

A training seed of every part before the next seed; every finished case is kept at once in WORK, from where
a later call goes on. Several processes may share WORK and the card, each with parts of its own: choosing is
many small kernels, and leaves room. No piece is begun in less time than the longest of its kind has taken.

    python scripts/choice_on_gpu.py --minutes 9 --out OUT --work WORK --data DIR [--parts PART ...]
    python scripts/choice_on_gpu.py --collect --out OUT --work WORK    # OUT/choice.csv and OUT/records.zip
    python scripts/choice_on_gpu.py --rehearse --out OUT --work WORK --data DIR    # on a CPU, tiny
"""

import argparse
import os
import zipfile
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
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.recipes import Recipe
from lfssd_nb.system import device as devices


def rehearsed(part: Part) -> Part:
    """The part at the size of a test on a CPU."""
    targets = tuple(target.replace("100@", "5@") for target in part.targets[:2])
    how = dict(images=200, recipe=Recipe(4, batch_size=16), device="cpu")
    return replace(part, network=Architecture("resnet18", 8), targets=targets, seeds=range(2), how=how)


def work_through(lease: Lease, parts: dict[str, Part]) -> None:
    """Seed by seed, part by part: the networks, then case by case; until there is no time."""
    seeds = dict.fromkeys(seed for part in parts.values() for seed in part.seeds)
    for seed in seeds:
        for name, part in parts.items():
            several = [each for each in study_choice.choices([part]) if each.case.seed == seed]
            one_original(lease, name, [each for each in several if record_files.wanted(lease.work, each)])


def one_original(lease: Lease, name: str, several: list[Choice]) -> None:
    """The cases of one original: I(D) and what the tuned rule sees are computed once."""
    for case, seed, gold in cases.models(several, lambda case: case.gold_seeds).values():
        title = f"{name}, {f'gold of {case.target}' if gold else 'original'}, seed {seed}"
        if not lease.piece(f"training {name}", title, partial(lease.train, case, seed, gold)):
            return
    known, tuned = None, {}
    for each in several:
        known = known or records.known_of(each.case)
        work = partial(study_choice.choose, [each], lease.work, known, tuned)
        if not lease.piece(f"choosing {name}", f"{name}, {each.case.target}, seed {each.case.seed}", work):
            return


def collect(out: Path, work: Path, parts: dict[str, Part]) -> None:
    """The table of what is finished, a part a name, and its records as one file."""
    tables = {name: sweep_cases.load(work, study_choice.choices([part])) for name, part in parts.items()}
    found = pd.concat([table.assign(part=name) for name, table in tables.items()])
    found.round(5).to_csv(out / "choice.csv", index=False)
    with zipfile.ZipFile(out / "records.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(work.glob("*.json")):
            file.write(path, path.name)
    if len(found):
        print(found[found.rule == "agreement"].groupby("part").size())


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
