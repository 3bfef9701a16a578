"""A GPU is lent for minutes: fill them with the most valuable work first, and be called again for the rest.

checks   the test suite's GPU tests
speed    training against the device's floor, importances, sweeps: images and cells a second
recipes  a short search on a held-out tenth of D, without test images
cases    the published class, sub-class and random stages at the paper profile: round by round, the first
         target of each stage before the second of any, the first training seed before the second
audit    of the first case of each stage: relearning, a linear probe
rest     the trained baselines of those cases, then a ViT from scratch

Every finished piece is kept at once in OUT, in few files: ``tables.zip`` (what `--resume` goes on from),
``records.csv``, ``tuning.csv``, ``models.csv``, ``speed.csv``, ``recipes.csv``, ``checks.log``, ``log.txt``.
No piece is begun in less time than the longest of its kind has taken.

    python scripts/on_gpu.py --minutes 9 --out OUT --data DIR    # DIR: cifar10.npz and cifar100.npz
    python scripts/on_gpu.py --rehearse --out OUT                # the same path on a CPU, tiny, in minutes
"""

import argparse
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path

import pandas as pd
import torch
from lease import Lease

from lfssd_nb import data, importance, networks
from lfssd_nb.audit import how_accurate
from lfssd_nb.data import scenarios
from lfssd_nb.lab import records
from lfssd_nb.lab.cases import Case, Run, dataset, models
from lfssd_nb.lab.jobs import single_threaded
from lfssd_nb.lab.record_files import wanted as lacking
from lfssd_nb.lab.tuning import Tuning
from lfssd_nb.lab.tuning import run as tune
from lfssd_nb.networks.architecture import Architecture, build
from lfssd_nb.networks.recipes import Recipe
from lfssd_nb.networks.training import fit
from lfssd_nb.paper import finished, reproduce
from lfssd_nb.paper.published import EXTRA, STAGES, Job
from lfssd_nb.paper.sizes import CROP, PROFILES
from lfssd_nb.paper.throughput import floor_rate, training_rate
from lfssd_nb.sweeps import grids
from lfssd_nb.system import device as devices
from lfssd_nb.system.stopwatch import now

ROOT = Path(__file__).resolve().parent.parent
CORE = ("nothing", "retrain", "lfssd", "ssd", "assd", "xalfssd", "class_mask", "random_weights")
ROUNDS = ("cifar100-class", "cifar20-class", "cifar10-class", "cifar20-subclass", "cifar10-random")
GRID = ((24, 0.4, 512, 5e-4), (16, 0.4, 512, 5e-4), (24, 0.4, 512, 1e-3), (30, 0.2, 256, 1e-3),
        (30, 0.4, 256, 1e-3), (30, 0.2, 256, 2e-3))  # fmt: skip
RECIPES = {  # tried on CIFAR-100
    f"{epochs} epochs, lr {lr}, batches of {size}, decay {decay}": Recipe(
        epochs, lr, size, decay, augmentation=CROP
    )
    for epochs, lr, size, decay in GRID
}


def jobs_of(lease: Lease, network: str = "resnet18") -> list[Job]:
    """The stages at the paper profile, three training seeds (each compared with the others' gold); the ViT
    from scratch."""
    scratch = PROFILES["paper"].recipes["*", "scratch"]
    scale = replace(PROFILES["paper"], seeds=(0, 1, 2), baseline_seeds=1, vit="small")
    scale = replace(scale, recipes=scale.recipes | {("*", "vit"): scratch, ("cifar20", "vit"): scratch})
    if lease.rehearsal:
        tiny = {key: replace(value, epochs=1, batch_size=32) for key, value in scale.recipes.items()}
        one = {f"{name}-{net}": 1 for name in ROUNDS for net in ("resnet18", "vit")}
        scale = replace(scale, width=16, vit="tiny", images=200, n_random=5, recipes=tiny, n_targets=one)
        scale = replace(scale, seeds=(0, 1), baselines=("finetune", "class_mask", "random_weights"))
    known = {stage.name: stage for stage in (*STAGES, *EXTRA)}
    wanted = [replace(known[f"{name}-resnet18"], network=network) for name in lease.stages]
    return [Job(known.get(each.name, each), scale, lease.device, lease.compiled) for each in wanted]


# ---- checks


def checks(lease: Lease) -> None:
    tests = [
        "tests/whole/test_gpu.py",
        "tests/method/test_gpu_any_module.py",
        "tests/method/test_large_models.py::test_offloading_leaves_one_copy_on_a_gpu",
    ]

    def tested() -> str:
        with (lease.out / "checks.log").open("w") as log:
            command = [sys.executable, "-m", "pytest", "-q", "-rfE", *tests]
            subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=False)
        return (lease.out / "checks.log").read_text().strip().splitlines()[-1]

    lease.piece("checks", "GPU tests", tested)


# ---- speed


def speed(lease: Lease) -> None:
    job = jobs_of(lease)[0]
    d, recipe = dataset(job.cases()[0]), replace(job.recipe, compiled=False)
    trainings = {"bfloat16": recipe, "float32": replace(recipe, bfloat16=False)}
    for size in (256, 512):
        for name, how in trainings.items():
            how = replace(how, batch_size=16 if lease.rehearsal else size)
            work = partial(training_speed, lease, d, job.architecture, how, name, size)
            lease.piece("rate", f"training, {name}, batches of {size}", work)
    if not lease.rehearsal:  # a minute
        how = replace(recipe, batch_size=512, compiled=True)
        work = partial(training_speed, lease, d, job.architecture, how, "compiled", 512)
        lease.piece("compiling", "training, compiled, batches of 512", work)
    model, n = build(job.architecture, d).eval(), 64 if lease.rehearsal else 4096
    x, y = d.train_x[:n], d.train_y[:n]
    passes = {
        ("sensitivity, per sample", 128): partial(importance.sensitivity, model, x),
        ("Fisher, per sample", 128): partial(importance.fisher, model, x, y),
        ("sensitivity, batch means", 64): partial(
            importance.sensitivity, model, x, reduction="batch", batch_size=64
        ),
        ("logits", 128): partial(networks.logits, model, x),
    }
    for (name, size), work in passes.items():
        lease.piece("importance", name, partial(importance_speed, lease, d, work, n, name, size))
    for stack in (1, 8):
        lease.piece("sweep", f"a sweep, {stack} networks at a time", partial(sweep_speed, lease, stack))


def training_speed(lease: Lease, d, architecture, recipe: Recipe, name: str, size: int) -> str:
    batches = 3 if lease.rehearsal else 40
    rate, first = training_rate(d, architecture, recipe, batches)
    floor = floor_rate(d, architecture, recipe, batches)
    row = dict(what="training", how=name, batch=size, rate=rate, floor=floor, first_seconds=first)
    lease.append("speed", row)
    return f"{rate:.0f} images/s, floor {floor:.0f}, the first steps took {first:.1f} s more"


def importance_speed(lease: Lease, d, work: Callable, n: int, name: str, size: int) -> str:
    work()
    start = now(d.device)
    work()
    rate = n / (now(d.device) - start)
    lease.append("speed", dict(what="importance", how=name, batch=size, rate=rate))
    return f"{rate:.0f} images/s"


def sweep_speed(lease: Lease, stack: int) -> str:
    """A grid on a network of the digits."""
    digits = data.load("digits", device=lease.device)
    three, model = scenarios.forget_class(digits, 3), build(Architecture("resnet18", 16), digits).eval()
    parts = digits.train_x[three.forget], digits.train_x
    pairs = {"lfssd": tuple(importance.sensitivity(model, x) for x in parts)}
    alphas = (2, 3, 4) if lease.rehearsal else torch.linspace(1.2, 6, 20).tolist()
    start = now(digits.device)
    how = dict(alphas=alphas, lams=(0.5, 1.0), stack=stack, show=False)
    found = grids.grid(model, pairs, *grids.exam(digits, three), **how)
    rate = len(found) / (now(digits.device) - start)
    lease.append("speed", dict(what="sweep", how=f"{stack} at a time", batch=512, rate=rate))
    return f"{rate:.0f} cells/s"


# ---- recipes


def recipes(lease: Lease) -> None:
    """Accuracy on a tenth of D that is held out; the test images decide nothing."""
    job = jobs_of(lease)[0]
    table = lease.out / "recipes.csv"
    done = set(pd.read_csv(table).recipe) if table.exists() else set()
    for name, recipe in RECIPES.items():
        recipe = replace(recipe, bfloat16=job.recipe.bfloat16, compiled=job.compiled)
        if lease.rehearsal:
            recipe = replace(recipe, epochs=1, batch_size=32)
        if name not in done:
            lease.piece("recipe", name, partial(try_recipe, lease, job, name, recipe))


def try_recipe(lease: Lease, job: Job, name: str, recipe: Recipe) -> str:
    d = dataset(job.cases()[0])
    order = torch.randperm(len(d.train_y), generator=torch.Generator().manual_seed(0)).to(d.device)
    held, rest = order[: len(order) // 10], order[len(order) // 10 :]
    model, start = build(job.architecture, d), now(d.device)
    fit(model, d.train_x[rest], d.train_y[rest], recipe, 0, show=False)
    seconds = now(d.device) - start
    right = how_accurate.accuracy(model, d.train_x[held], d.train_y[held])
    row = dict(recipe=name, held_out_acc=right, seconds=seconds, rate=recipe.epochs * len(rest) / seconds)
    lease.append("recipes", row | {"settings": json.dumps(asdict(recipe))})
    return f"{right:.2f} % of held-out training images, {seconds:.0f} s"


# ---- cases


def rounds(jobs: list[Job]) -> Iterator[tuple[Job, Case]]:
    """The first target of each stage, then the second of each ...; all that with the second seed."""
    for seed in jobs[0].profile.seeds:
        lists = [[(job, case) for case in job.cases() if case.seed == seed] for job in jobs]
        for several in zip_longest(*lists):
            yield from filter(None, several)


def cases(lease: Lease) -> None:
    """First the cheap methods of every case, with the alpha' of the stage and that of the case."""
    work_through(lease, jobs_of(lease), lambda run: run.method in CORE, "case")


def rest(lease: Lease) -> None:
    work_through(lease, jobs_of(lease), lambda run: run.method not in CORE, "baseline")
    work_through(lease, jobs_of(lease, "vit"), lambda run: run.method in CORE, "vit case")


def audit(lease: Lease) -> None:
    """The slow metrics, where there is a forgotten class to teach again."""
    for job in jobs_of(lease):
        case = job.cases()[0]
        if case.kind != "random" and not Tuning((case,)).missing(lease.work):
            lease.piece("audit", f"audit of {job.stage.name}", partial(audited, lease, job, case))


def audited(lease: Lease, job: Job, case: Case) -> str:
    runs = [
        replace(run, deep=True)
        for run in reproduce.runs_of(job, CORE[:-1], lease.work)
        if run.case == case and run.variant not in ("default", "tuned")
    ]
    records.records(runs, lease.work)
    table = records.load(lease.work, runs)
    finished.write_tables({f"audit-{job.stage.data}-{job.stage.kind}": table}, lease.out)
    return f"{len(table)} records"


def work_through(lease: Lease, jobs: list[Job], wanted: Callable[[Run], bool], kind: str) -> None:
    """Case by case: its networks, the alpha' of its stage, its records; until there is no time."""
    known, trained = {}, set()

    def runs_of(job: Job, case: Case) -> list[Run]:
        return [run for run in reproduce.runs_of(job, None, lease.work) if run.case == case and wanted(run)]

    def tuned(tuning: Tuning) -> None:
        case = tuning.cases[0]
        if case.importances not in known:
            known[case.importances] = records.known_of(case)
        tune(tuning, lease.work, known[case.importances])

    def unlearned(job: Job, case: Case) -> str:
        tuned(Tuning((case,)))
        runs = runs_of(job, case)
        records.records(runs, lease.work, known[case.importances])
        table = records.load(lease.work, runs)
        lease.bring_back([*jobs_of(lease), *jobs_of(lease, "vit")])
        return f"{len(table)} records, {table.error.notna().sum() if 'error' in table else 0} of them errors"

    for job, case in rounds(jobs):
        first = job.tunings()[0]
        recorded = not any(lacking(lease.work, run) for run in runs_of(job, case))
        if recorded and not first.missing(lease.work):
            continue
        needed = models([Run(case, "nothing"), Run(first.cases[0], "nothing")])
        for each, (at, seed, gold) in needed.items():
            if each in trained or (gold and at != case):  # what is tuned needs no gold
                continue
            name = f"{'gold' if gold else 'original'}, {job.stage.name}, {at.target}, seed {seed}"
            if not lease.piece(f"training {kind}", name, partial(lease.train, at, seed, gold)):
                return
            trained.add(each)
        missing = first.missing(lease.work)
        if missing and not lease.piece(f"tuning {kind}", f"tuning {job.stage.name}", partial(tuned, first)):
            return
        name = f"{job.stage.name}, {case.target}, seed {case.seed}"
        if not lease.piece(kind, name, partial(unlearned, job, case)):
            return


STEPS = {each.__name__: each for each in (checks, speed, recipes, cases, audit, rest)}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9.0, help="how long it may take (default: 9)")
    parser.add_argument("--out", type=Path, required=True, help="folder of what shall come back")
    parser.add_argument("--work", type=Path, help="folder of records and networks (default: OUT/work)")
    parser.add_argument("--data", type=Path, help="folder of cifar10.npz and cifar100.npz (or LFSSD_DATA)")
    parser.add_argument("--resume", type=Path, help="a records.zip of an earlier call")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS, help="only these, in this order")
    one = "only these (one process fills an H200: four on one WORK were no faster)"
    parser.add_argument("--stages", nargs="+", choices=ROUNDS, default=ROUNDS, help=one)
    parser.add_argument("--compiled", action="store_true", help="train through torch.compile")
    parser.add_argument("--rehearse", action="store_true", help="the same path, tiny")
    parser.add_argument("--device", help="default: the best there is; for --rehearse cpu")
    args = parser.parse_args(argv)
    device = args.device or ("cpu" if args.rehearse else str(devices.best()))
    out, work = args.out.absolute(), (args.work or args.out / "work").absolute()
    for folder in (out, work):
        folder.mkdir(parents=True, exist_ok=True)
    os.environ |= {"LFSSD_CACHE": str(work / "cache"), "LFSSD_PROGRESS": "off"}
    if args.data:
        os.environ["LFSSD_DATA"] = str(args.data.absolute())
    if args.resume:
        with zipfile.ZipFile(args.resume) as file:
            file.extractall(work)
    lease = Lease(60 * args.minutes, out, work, device, args.rehearse, tuple(args.stages), args.compiled)
    lease.say(f"{devices.name(torch.device(device))}, torch {torch.__version__}, {args.minutes} minutes")
    with single_threaded():  # as `records` trains
        for step in args.steps:
            STEPS[step](lease)
    lease.say(f"the end; {lease.left:.0f} s are left")


if __name__ == "__main__":
    main()
