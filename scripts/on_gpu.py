"""A GPU is lent for minutes: fill them with the most valuable work first, and be called again for the rest.

checks   the test suite's GPU tests
speed    training against the device's floor, importances, sweeps: images and cells a second
recipes  a short search on a held-out tenth of D, without test images
cases    the published class, sub-class and random stages at the paper profile: round by round, the first
         target of each stage before the second of any, the first training seed before the second
audit    of the first case of each stage: relearning, a linear probe
rest     the trained baselines of those cases, then a ViT from scratch

Every finished piece is kept at once in OUT, in few files: ``records.zip`` (what `--resume` goes on from),
``records.csv``, ``tuning.csv``, ``models.csv``, ``speed.csv``, ``recipes.csv``, ``checks.log``, ``log.txt``.
Nothing is begun that, after what pieces of its kind took before, would not be finished in time.

    python scripts/on_gpu.py --minutes 9 --out $OUT --data DIR    # DIR: cifar10.npz and cifar100.npz
    python scripts/on_gpu.py --rehearse --out DIR                 # the same path on a CPU, tiny, in minutes
"""

import argparse
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import zip_longest
from pathlib import Path

import pandas as pd
import torch

from lfssd_nb import data, importance, metrics, reproduce, runner, scenarios, stages, sweep
from lfssd_nb import device as devices
from lfssd_nb.augment import Augmentation
from lfssd_nb.cost import now
from lfssd_nb.models import Architecture, build
from lfssd_nb.parallel import single_threaded
from lfssd_nb.recipes import Recipe
from lfssd_nb.runner import Run
from lfssd_nb.throughput import floor_rate, training_rate
from lfssd_nb.training import fit, trained, training_seconds
from lfssd_nb.tuning import Tuning
from lfssd_nb.tuning import run as tune

ROOT = Path(__file__).resolve().parent.parent
STEPS = ("checks", "speed", "recipes", "cases", "audit", "rest")
CORE = ("nothing", "retrain", "lfssd", "ssd", "assd", "xalfssd", "class_mask", "random_weights")
ROUNDS = ("cifar100-class", "cifar20-class", "cifar10-class", "cifar20-subclass", "cifar10-random")
CROP = Augmentation(shift=4, flip=True)
GRID = ((24, 0.4, 512, 5e-4), (16, 0.4, 512, 5e-4), (24, 0.4, 512, 1e-3), (30, 0.2, 256, 1e-3),
        (30, 0.4, 256, 1e-3), (30, 0.2, 256, 2e-3))  # fmt: skip
RECIPES = {  # tried on CIFAR-100
    f"{epochs} epochs, lr {lr}, batches of {size}, decay {decay}": Recipe(
        epochs, lr, size, decay, augmentation=CROP
    )
    for epochs, lr, size, decay in GRID
}
FIRST_GUESS = 60.0  # seconds of a kind of piece that has not been seen yet


@dataclass
class Lease:
    """The time that is left, where results go, and what a kind of piece takes: the last one, and a margin."""

    seconds: float
    out: Path
    work: Path
    device: str
    rehearsal: bool
    stages: tuple[str, ...]
    compiled: bool = False
    trained: set[str] = field(default_factory=set)
    begun: float = field(default_factory=time.perf_counter)
    took: dict[str, float] = field(default_factory=dict)

    @property
    def left(self) -> float:
        return self.seconds - (time.perf_counter() - self.begun)

    def say(self, text: str) -> None:
        line = f"[{time.perf_counter() - self.begun:6.1f} s] {text}"
        print(line, flush=True)
        with (self.out / "log.txt").open("a") as file:
            file.write(line + "\n")

    def piece(self, kind: str, name: str, work: Callable[[], object]) -> bool:
        """Does a piece if there is time for one of its kind; an error of it is said and stops no other."""
        if self.left < self.took.get(kind, FIRST_GUESS if not self.rehearsal else 0):
            self.say(f"no time for {name}: {kind} takes {self.took.get(kind, FIRST_GUESS):.0f} s")
            return False
        start = time.perf_counter()
        try:
            found = work()
        except (RuntimeError, ValueError, ArithmeticError, OSError) as error:
            found = f"FAILED: {type(error).__name__}: {str(error).strip().splitlines()[0]}"
        spent = time.perf_counter() - start
        self.took[kind] = 1.2 * spent
        self.say(f"{name}: {found if found is not None else 'done'} ({spent:.1f} s)")
        return True

    def train(self, case: runner.Case, seed: int, gold: bool) -> str:
        """A model into the cache, and a row in OUT/models.csv."""
        d, scenario = runner.setting(case)
        index = scenario.retain if gold else None
        model = trained(d, case.architecture, case.recipe, seed, index, show=False, must_cache=True)
        seconds = training_seconds(d, case.architecture, case.recipe, seed, index)
        images = case.recipe.epochs * len(d.train_y if index is None else index)
        right = metrics.accuracy(model, d.test_x, d.test_y)
        scenario, target = (case.kind, case.target) if gold else ("", "")
        row = dict(data=case.data, scenario=scenario, gold_of=target, seed=seed) | asdict(case.architecture)
        row |= dict(images=images, seconds=seconds, rate=images / seconds, test_acc=right, source=d.source)
        self.append("models", row | {"recipe": json.dumps(asdict(case.recipe))})
        return f"{right:.2f} % of the test images, {images / seconds:.0f} images/s"

    def append(self, name: str, row: dict) -> None:
        """One row more in OUT/NAME.csv."""
        path = self.out / f"{name}.csv"
        rows = [pd.read_csv(path)] if path.exists() else []
        row = row | runner.versions(torch.device(self.device))
        pd.concat([*rows, pd.DataFrame([row])]).to_csv(path, index=False)

    def bring_back(self, jobs: list[stages.Job]) -> None:
        """The tables of what is finished, and all of it as one file."""
        reproduce.write_tables(reproduce.tables(jobs, None, self.work), self.out)
        with zipfile.ZipFile(self.out / "records.zip", "w", zipfile.ZIP_DEFLATED) as file:
            for path in sorted(self.work.glob("*.json")):
                file.write(path, path.name)


# ---- checks


def checks(lease: Lease) -> None:
    tests = ["tests/test_gpu.py", "tests/test_large_models.py"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-k",
        "gpu or stream or compiled or float64 or recurrent",
    ]

    def tested() -> str:
        with (lease.out / "checks.log").open("w") as log:
            subprocess.run([*command, *tests], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=False)
        return (lease.out / "checks.log").read_text().strip().splitlines()[-1]

    lease.piece("checks", "GPU tests", tested)


# ---- speed


def speed(lease: Lease) -> None:
    d = runner.dataset(jobs_of(lease)[0].cases()[0])
    job = jobs_of(lease)[0]
    recipe, batches = replace(job.recipe, compiled=False), 3 if lease.rehearsal else 40
    fast = recipe.bfloat16
    trainings = {"bfloat16": dict(bfloat16=fast), "float32": dict(bfloat16=False)}
    trainings["compiled"] = dict(bfloat16=fast, compiled=True)
    for size in (256, 512):
        for name, changes in trainings.items():
            how = replace(recipe, batch_size=16 if lease.rehearsal else size, **changes)

            def rate(how=how, name=name, size=size) -> str:
                images, first = training_rate(d, job.architecture, how, batches)
                floor = floor_rate(d, job.architecture, how, batches)
                row = dict(
                    what="training", how=name, batch=size, rate=images, floor=floor, first_seconds=first
                )
                lease.append("speed", row)
                return f"{images:.0f} images/s, floor {floor:.0f}, the first steps took {first:.1f} s more"

            if name != "compiled" or (size == 512 and not lease.rehearsal):  # a minute each
                lease.piece("rate", f"training, {name}, batches of {size}", rate)
    model = build(job.architecture, d).eval()
    n = 64 if lease.rehearsal else 4096
    x, y = d.train_x[:n], d.train_y[:n]
    jobs = {
        "sensitivity, per sample": lambda: importance.sensitivity(model, x),
        "Fisher, per sample": lambda: importance.fisher(model, x, y),
        "sensitivity, batch means of 64": lambda: importance.sensitivity(
            model, x, reduction="batch", batch_size=64
        ),
        "logits": lambda: metrics.logits(model, x),
    }
    for name, work in jobs.items():

        def timed(name=name, work=work) -> str:
            work()
            start = now(d.device)
            work()
            rate = n / (now(d.device) - start)
            lease.append("speed", dict(what="importance", how=name, batch=128, rate=rate))
            return f"{rate:.0f} images/s"

        lease.piece("importance", name, timed)
    for stack in (1, 8):
        lease.piece("sweep", f"a sweep, {stack} networks at a time", lambda stack=stack: swept(lease, stack))


def swept(lease: Lease, stack: int) -> str:
    """The grid of `make bench` on the digits' network: 200 cells."""
    digits = data.load("digits", device=lease.device)
    three, model = scenarios.forget_class(digits, 3), build(Architecture("resnet18", 16), digits).eval()
    pairs = {"lfssd": tuple(importance.sensitivity(model, x)
                            for x in (digits.train_x[three.forget], digits.train_x))}  # fmt: skip
    alphas, lams = (2, 3, 4) if lease.rehearsal else torch.linspace(1.2, 6, 20).tolist(), (0.5, 1.0)
    start = now(digits.device)
    found = sweep.grid(
        model, pairs, *sweep.exam(digits, three), alphas=alphas, lams=lams, stack=stack, show=False
    )
    rate = len(found) / (now(digits.device) - start)
    lease.append("speed", dict(what="sweep", how=f"{stack} at a time", batch=512, rate=rate))
    return f"{rate:.0f} cells/s"


# ---- recipes


def recipes(lease: Lease) -> None:
    """Accuracy on a tenth of D that is held out; the test images decide nothing."""
    job = jobs_of(lease)[0]
    d = runner.dataset(job.cases()[0])
    order = torch.randperm(len(d.train_y), generator=torch.Generator().manual_seed(0)).to(d.device)
    held, rest = order[: len(order) // 10], order[len(order) // 10 :]
    table = lease.out / "recipes.csv"
    done = set(pd.read_csv(table).recipe) if table.exists() else set()
    for name, recipe in RECIPES.items():
        recipe = replace(recipe, bfloat16=job.recipe.bfloat16, compiled=job.compiled)
        if lease.rehearsal:
            recipe = replace(recipe, epochs=1, batch_size=32)

        def tried(name=name, recipe=recipe) -> str:
            model, start = build(job.architecture, d), now(d.device)
            fit(model, d.train_x[rest], d.train_y[rest], recipe, 0, show=False)
            seconds = now(d.device) - start
            right = metrics.accuracy(model, d.train_x[held], d.train_y[held])
            about = dict(
                recipe=name, held_out_acc=right, seconds=seconds, rate=recipe.epochs * len(rest) / seconds
            )
            lease.append("recipes", about | {"settings": json.dumps(asdict(recipe))})
            return f"{right:.2f} % of held-out training images, {seconds:.0f} s"

        if name not in done:
            lease.piece("recipe", name, tried)


# ---- cases


def jobs_of(lease: Lease) -> list[stages.Job]:
    """ResNet18 at the paper profile, two training seeds (each the other's gold to compare with)."""
    scale = replace(stages.PROFILES["paper"], seeds=(0, 1), baseline_seeds=1)
    if lease.rehearsal:
        tiny = {key: replace(value, epochs=1, batch_size=32) for key, value in scale.recipes.items()}
        scale = replace(scale, width=16, vit="tiny", images=200, n_random=5, recipes=tiny)
        scale = replace(scale, baselines=("finetune", "class_mask", "random_weights"))
        scale = replace(scale, n_targets={each.name: 1 for each in (*stages.STAGES, *stages.EXTRA)})
    known = {stage.name: stage for stage in (*stages.STAGES, *stages.EXTRA)}
    return [
        stages.Job(known[f"{name}-resnet18"], scale, lease.device, lease.compiled) for name in lease.stages
    ]


def rounds(jobs: list[stages.Job]) -> Iterator[tuple[stages.Job, runner.Case]]:
    """The first target of each stage, then the second of each ...; all that with the second seed."""
    for seed in jobs[0].profile.seeds:
        lists = [[(job, case) for case in job.cases() if case.seed == seed] for job in jobs]
        for several in zip_longest(*lists):
            yield from filter(None, several)


def cases(lease: Lease) -> None:
    """First the cheap methods of every case, with the alpha' of the stage and that of the case."""
    _work_through(lease, jobs_of(lease), lambda run: run.method in CORE, "case")


def audit(lease: Lease) -> None:
    """The slow metrics, where there is a forgotten class to teach again."""
    for job in jobs_of(lease):
        case = job.cases()[0]
        if case.kind == "random" or Tuning((case,)).missing(lease.work):
            continue
        runs = [run for run in reproduce.runs_of(job, None, lease.work) if run.case == case]
        runs = [
            replace(run, deep=True) for run in runs if run.method in CORE and run.method != "random_weights"
        ]
        runs = [run for run in runs if run.variant not in ("default", "tuned")]

        def audited(runs=runs) -> str:
            runner.records(runs, lease.work)
            table = runner.load(lease.work, runs)
            table.round(5).to_csv(
                lease.out / f"audit-{runs[0].case.data}-{runs[0].case.kind}.csv", index=False
            )
            return f"{len(table)} records"

        lease.piece("audit", f"audit of {job.stage.name}", audited)


def rest(lease: Lease) -> None:
    jobs = jobs_of(lease)
    _work_through(lease, jobs, lambda run: run.method not in CORE, "baseline")
    vits = [replace(job, stage=replace(job.stage, network="vit"), compiled=False) for job in jobs]
    scratch = {("*", "vit"): jobs[0].profile.recipes["*", "scratch"]}
    vit = "tiny" if lease.rehearsal else "small"
    vits = [replace(job, profile=replace(job.profile, vit=vit, recipes=scratch)) for job in vits]
    _work_through(lease, vits, lambda run: run.method in CORE, "vit case")


def _work_through(lease: Lease, jobs: list[stages.Job], wanted: Callable, kind: str) -> None:
    known = {}

    def runs_of(job: stages.Job, case: runner.Case) -> list[runner.Run]:
        return [run for run in reproduce.runs_of(job, None, lease.work) if run.case == case and wanted(run)]

    def tuned(tuning: Tuning) -> None:
        case = tuning.cases[0]
        if case.training(case.seed) not in known:
            known.clear()  # one original and its importances at a time
            known[case.training(case.seed)] = runner.known_of(case)
        tune(tuning, lease.work, known[case.training(case.seed)])

    def unlearned(job: stages.Job, case: runner.Case) -> str:
        tuned(Tuning((case,)))
        runs = runs_of(job, case)
        runner.records(runs, lease.work, known[case.training(case.seed)])
        table = runner.load(lease.work, runs)
        lease.bring_back(jobs)
        failed = table.error.notna().sum() if "error" in table else 0
        return f"{len(table)} records, {failed} of them errors"

    for job, case in rounds(jobs):
        first, name = job.tunings()[0], f"{job.stage.name}, {case.target}, seed {case.seed}"
        runs = runs_of(job, case)
        if not first.missing(lease.work) and all(runner.record(lease.work, run).exists() for run in runs):
            continue
        for at, seed, gold in runner.models([Run(case, "nothing"), Run(first.cases[0], "nothing")]).values():
            if gold and at != case:  # what is tuned needs no gold
                continue
            what = f"{'gold' if gold else 'original'}, {job.stage.name}, {at.target}, seed {seed}"
            if (what not in lease.trained) and not lease.piece(
                f"training {kind}", what, lambda at=at, seed=seed, gold=gold: lease.train(at, seed, gold)
            ):
                return
            lease.trained.add(what)
        if first.missing(lease.work) and not lease.piece(
            f"tuning {kind}", f"tuning {job.stage.name}", lambda first=first: tuned(first)
        ):
            return
        if not lease.piece(kind, name, lambda job=job, case=case: unlearned(job, case)):
            return


# ---- all of it


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--minutes", type=float, default=9.0, help="how long it may take (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of what shall come back")
    parser.add_argument("--work", type=Path, help="folder of records and networks (default: OUT/work)")
    parser.add_argument("--data", type=Path, help="folder of cifar10.npz and cifar100.npz (or LFSSD_DATA)")
    parser.add_argument("--resume", type=Path, help="a records.zip of an earlier call")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument(
        "--stages",
        nargs="+",
        choices=ROUNDS,
        default=ROUNDS,
        help="only these (one process fills an H200: four on one WORK were no faster)",
    )
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
    with single_threaded():  # as `runner` trains
        for step in args.steps:
            globals()[step](lease)
    lease.say(f"the end; {lease.left:.0f} s are left")


if __name__ == "__main__":
    main()
