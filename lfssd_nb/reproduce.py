"""``lfssd-nb reproduce``: the published experiments from nothing to tables, resumable, with a plan first.

Everything lies in one folder: ``KEY.json`` for each finished record, and ``records.csv``, ``tuning.csv`` and
``models.csv`` (one row a model: seconds, images a second, and the device's floor), written at the end and
whenever the run is interrupted in a way that a program can notice.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import joblib
import pandas as pd
import torch

from . import baselines, checkpoints, data, runner, stages, store, tuning
from . import device as devices
from .metrics import accuracy
from .models import build
from .parallel import in_parallel, single_threaded
from .stages import EXTRA, PRETRAINED, PROFILES, SCRATCH, STAGES, Job, Profile
from .throughput import floor_rate, training_rate
from .training import trained, training_seconds

RECORD = 0.5  # passes over D that evaluating one record takes, in units of a training pass
IMPORTANCE = 2  # one of D, per sample
GRID = 2  # 32 cells of a case, each forward (a third of a pass) over a fifth of D
PASSES = {  # over D, of baselines with their settings; those that are not here read D_f alone
    "finetune": 5, "neggrad_plus": 10, "random_labels": 3, "bad_teacher": 1, "unsir": 3, "scrub": 6,
    "salun": 10, "l1_sparse": 10, "fisher_forgetting": 4,
}  # fmt: skip


def chosen(profile: Profile, names: Sequence[str] | None, device: str) -> list[Job]:
    """The stages by name (None: all of `STAGES` that can run here). Prints which cannot, and what takes their
    place.

    Raises ``ValueError`` for a name that does not exist, or if nothing can run.
    """
    known = [stage.name for stage in (*STAGES, *EXTRA)]
    for name in names or ():
        if name not in known:
            raise ValueError(f"unknown stage {name!r}; choose from {', '.join(known)}")
    wanted = list(STAGES) if names is None else [s for s in (*STAGES, *EXTRA) if s.name in names]
    if names is None:  # the faces that the study used where you have them, else those of scikit-learn
        mine = (data.data_root() / "pins").is_dir() or (data.data_root() / "pins.npz").exists()
        wanted = [stage for stage in wanted if stage.data != ("olivetti" if mine else "pins")]
    found = []
    for stage in wanted:
        job = Job(stage, profile, device)
        try:
            if profile.vit == "vit_b_16" and stage.network == "vit":
                job = _pretrained_or_scratch(job)
            runner.setting(job.cases()[0])
        except (ConnectionError, FileNotFoundError) as error:
            print(f"{stage.name} is left out: {error}", file=sys.stderr)
            continue
        found.append(job)
    if not found:
        raise ValueError("no stage is left to run: what each of them lacks stands above")
    return found


def _pretrained_or_scratch(job: Job) -> Job:
    d, _ = runner.setting(job.cases()[0])
    try:
        build(job.architecture, d)
        return job
    except ConnectionError as error:
        print(f"{job.stage.name}: {error}; a ViT trained from scratch takes its place", file=sys.stderr)
        recipes = job.profile.recipes | {(job.stage.data, "vit"): job.profile.recipes["*", "scratch"]}
        return replace(job, profile=replace(job.profile, vit="small", recipes=recipes))


def same_images(jobs: Sequence[Job], folder: Path) -> None:
    """Notes which images the records of ``folder`` are of. Raises ``ValueError`` if these are others."""
    path = folder / "images.json"
    noted = store.read_json(path) if path.exists() else {}
    before = len(noted)
    for d in {job.stage.data: runner.dataset(job.cases()[0]) for job in jobs}.values():
        pixels = {name: (255 * d.images(getattr(d, name))).round().byte() for name in ("train_x", "test_x")}
        tensors = pixels | {"y": d.train_y, "test_y": d.test_y}  # bytes: the same on every device
        if noted.setdefault(f"{d.name}, {len(d.train_y)}", here := store.digest(tensors)) != here:
            raise ValueError(
                f"the records in {folder} are of another copy of {d.name} than that in {data.data_root()}: "
                "choose another folder (--out) for it"
            )
    if len(noted) > before:
        store.write(path, json.dumps(noted, indent=1).encode())


def plan(jobs: Sequence[Job], methods: Sequence[str] | None, folder: Path, n_jobs: int) -> pd.DataFrame:
    """What each stage still has to do and about how long that takes on ``n_jobs`` workers: models that the
    cache lacks, records that ``folder`` lacks. Training is measured on this device (``rate`` and ``floor``,
    in images a second), the rest counted in training passes in float32. What two stages share counts in the
    first.
    """
    rows, seen = [], set()
    for job in jobs:
        rates, n = rates_of(job, folder), len(runner.setting(job.cases()[0])[0].train_y)
        tunings = [missing for each in _tunings(job, methods) if (missing := each.missing(folder))]
        runs = [run for run in runs_of(job, methods, folder) if not runner.record(folder, run).exists()]
        needed, importances = runner.models(runs), {run.case.importances for run in runs}
        models = {name: each for name, each in needed.items() if name not in seen}
        costs = [training_cost(*each) for each in models.values()]
        images = [read for read, seconds in costs if pd.isna(seconds)]
        passes = RECORD * len(runs) + 3 * IMPORTANCE * len(importances - seen)
        passes += sum(2 * IMPORTANCE + GRID * len(missing) for missing in tunings)
        passes += sum("order" in run.settings for run in runs)  # a batch mean over D of its own
        passes += sum(PASSES.get(run.method, 0) for run in runs)
        seen |= needed.keys() | importances
        rate = rates["compiled_rate"] if job.compiled else rates["rate"]
        seconds = [sum(images) / rate, passes * n / rates["float32"]]
        minutes = [each / 60 / n_jobs for each in seconds]
        rows.append(
            dict(stage=job.stage.name, models=len(images), records=len(runs), **rates)
            | dict(training_minutes=minutes[0], unlearning_minutes=minutes[1])
        )
    return pd.DataFrame(rows)


def training_cost(case: runner.Case, seed: int, gold: bool) -> tuple[int, float]:
    """Images that training a model reads, and the seconds that it took (NaN: not in the cache)."""
    d, scenario = runner.setting(case)
    index = scenario.retain if gold else None
    with single_threaded():  # as it is trained
        seconds = training_seconds(d, case.architecture, case.recipe, seed, index)
    return len(scenario.retain if gold else d.train_y) * case.recipe.epochs, seconds


def rates_of(job: Job, folder: Path) -> dict[str, float]:
    """``rate`` of training as it will be done, its ``floor``, and that in ``float32``, in images a second; on
    CUDA also those of compiled training. Measured once a folder and device."""
    d, _ = runner.setting(job.cases()[0])
    with single_threaded():
        job = replace(job, compiled=False)
        about = [str(d.train_x.shape), len(d.classes), asdict(job.architecture), asdict(job.recipe)]
        path = folder / f"rates-{runner.key([about, runner.versions(d.device)])}.json"
        if not path.exists():
            rates = {"rate": training_rate(d, job.architecture, job.recipe)[0]}
            rates["floor"] = floor_rate(d, job.architecture, job.recipe)
            rates["float32"] = floor_rate(d, job.architecture, replace(job.recipe, bfloat16=False))
            if d.device.type == "cuda":
                rates |= _compiled_rate(d, job)
            store.write(path, json.dumps({k: round(v, 1) for k, v in rates.items()}).encode())
    return store.read_json(path)


def _compiled_rate(d: data.Dataset, job: Job) -> dict[str, float]:
    """Nothing where torch.compile does not work, as without a compiler."""
    try:
        compiled = training_rate(d, job.architecture, replace(job.recipe, compiled=True))
    except RuntimeError as error:
        print(f"torch.compile does not work here: {str(error).splitlines()[0]}", file=sys.stderr)
        return {}
    return dict(zip(("compiled_rate", "compiling_seconds"), compiled, strict=True))


def compiled_where_it_pays(job: Job, folder: Path) -> Job:
    """Compiled if that saves the trainings of a job, which share what is compiled, more seconds than it
    takes; on CUDA alone."""
    rates = rates_of(job, folder)
    if "compiled_rate" not in rates:
        return job
    images = training_cost(job.cases()[0], job.profile.seeds[0], False)[0]
    images *= len(runner.models(stages.runs(job, {}, methods=["nothing"])))
    saved = images / rates["rate"] - images / rates["compiled_rate"]
    return replace(job, compiled=saved > rates["compiling_seconds"])


def run(jobs: Sequence[Job], methods: Sequence[str] | None, folder: Path, n_jobs: int | None) -> pd.DataFrame:
    """Trains, tunes, unlearns and measures what ``folder`` lacks; returns the records of all jobs."""
    try:
        runner.train([run for job in jobs for run in stages.runs(job, {}, methods=methods)], n_jobs)
        tunings = [(each, folder) for job in jobs for each in _tunings(job, methods)]
        in_parallel(tuning.run, tunings, n_jobs, "tuning")
        return runner.run([run for job in jobs for run in runs_of(job, methods, folder)], folder, n_jobs)
    finally:
        collect(jobs, methods, folder)


def _tunings(job: Job, methods: Sequence[str] | None) -> list[tuning.Tuning]:
    """Those of the job (none where no method has anything to tune)."""
    return job.tunings() if methods is None or {"lfssd", "ssd"} & {*methods} else []


def runs_of(job: Job, methods: Sequence[str] | None, folder: Path) -> list[runner.Run]:
    """All runs of a job (None: of all methods), with alpha' = 0 where it is not tuned yet, of which there is
    no record."""
    (tuned, _), *own = [tuning.scales(each, folder) for each in _tunings(job, methods)] or [({}, {})]
    searched = {case: scales for _, cases in own for case, scales in cases.items()}
    return stages.runs(job, tuned, searched, methods)


def collect(jobs: Sequence[Job], methods: Sequence[str] | None, folder: Path) -> None:
    """Writes the tables of what is finished."""
    write_tables(tables(jobs, methods, folder) | {"models": pd.DataFrame(_models_of(jobs, folder))}, folder)


def tables(jobs: Sequence[Job], methods: Sequence[str] | None, folder: Path) -> dict[str, pd.DataFrame]:
    """``records`` and ``tuning`` as far as they are finished."""
    tuned = [
        tuning.run(tuning.Tuning((case,), each.scales), folder).assign(
            stage=job.stage.name, variant="searched" if k else "tuned"
        )
        for job in jobs
        for k, each in enumerate(_tunings(job, methods))
        for case in each.cases
        if each.record(case, folder).exists()
    ]
    return {
        "records": runner.load(folder, [run for job in jobs for run in runs_of(job, methods, folder)]),
        "tuning": pd.concat(tuned) if tuned else pd.DataFrame(),
    }


def write_tables(found: dict[str, pd.DataFrame], folder: Path) -> None:
    """NAME.csv of each."""
    for name, table in found.items():
        store.write(folder / f"{name}.csv", table.round(5).to_csv(index=False).encode())


def _models_of(jobs: Sequence[Job], folder: Path) -> Iterator[dict]:
    """A row for every trained model; what two stages share stands once."""
    seen = set()
    for job in jobs:
        models = runner.models(stages.runs(job, {}, methods=["nothing"]))
        for name, (case, seed, gold) in models.items():
            if name in seen:
                continue
            seen.add(name)
            images, seconds = training_cost(case, seed, gold)
            if pd.isna(seconds):
                continue
            d, _ = runner.setting(case)
            yield (
                dict(stage=job.stage.name, data=case.data, seed=seed, gold_of=case.target if gold else "")
                | asdict(case.architecture)
                | dict(images=images, seconds=seconds, rate=images / seconds, source=d.source)
                | {"floor": rates_of(job, folder)["floor"]}
                | runner.versions(d.device)
                | {"recipe": json.dumps(asdict(case.recipe))}
            )


def share(jobs: Sequence[Job], folder: Path) -> None:
    """Half-precision checkpoints of the original models, DATA-NETWORK-SIZE-SEED, with their test accuracy."""
    for case in dict.fromkeys(replace(c, kind="", target="") for job in jobs for c in job.cases()):
        d = runner.dataset(case)
        with single_threaded():
            model = trained(d, case.architecture, case.recipe, case.seed)
        about = dict(seed=case.seed, recipe=asdict(case.recipe), test_acc=accuracy(model, d.test_x, d.test_y))
        size = case.architecture.size or case.architecture.width
        name = f"{case.data}-{case.architecture.name}-{size}-{case.seed}"
        checkpoints.save(folder / name, model, case.architecture, d, about, half=True)


def profile(
    name: str,
    *,
    images: int | None = None,
    epochs: int | None = None,
    seeds: Sequence[int] | None = None,
    targets: int | None = None,
    vit: str | None = None,
) -> Profile:
    """A profile by name with changes; ``targets``: how many of each stage, ``vit``: a size.

    Raises ``ValueError`` for an unknown name and fewer than one target.
    """
    if name not in PROFILES:
        raise ValueError(f"unknown profile {name!r}; choose one of {', '.join(PROFILES)}")
    found = PROFILES[name]
    if images is not None:
        found = replace(found, images=images)
    if seeds:
        found = replace(found, seeds=tuple(dict.fromkeys(seeds)))
    if targets is not None:
        if targets < 1:
            raise ValueError(f"a stage needs at least one target, got targets={targets}")
        found = replace(found, n_targets={stage.name: targets for stage in (*STAGES, *EXTRA)})
    if vit not in (None, found.vit):
        recipes = {k: v for k, v in found.recipes.items() if k[1] != "vit"} | {("*", "scratch"): SCRATCH}
        recipes["*", "vit"] = PRETRAINED if vit == "vit_b_16" else SCRATCH
        found = replace(found, vit=vit, recipes=recipes)
    if epochs is not None:  # of the ViT's new recipes too
        found = replace(found, recipes={k: replace(v, epochs=epochs) for k, v in found.recipes.items()})
    return found


def main(args) -> None:
    """The command with its options, see ``lfssd-nb reproduce --help``."""
    for method in args.methods or ():
        baselines.get(method)
    scale = profile(args.profile, images=args.images, epochs=args.epochs, seeds=args.seeds,
                    targets=args.targets, vit=args.vit)  # fmt: skip
    if args.jobs is not None and args.jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {args.jobs}")
    device = str(data.usable(args.device or devices.best()))
    folder = Path(args.out or f"build/reproduce/{args.profile}").absolute()
    n_jobs = args.jobs or (joblib.cpu_count() if device == "cpu" else 1)
    jobs = chosen(scale, args.stages, device)
    same_images(jobs, folder)
    jobs = [compiled_where_it_pays(job, folder) for job in jobs]
    table = plan(jobs, args.methods, folder, n_jobs)
    print(table.round(1).to_string(index=False))
    total = table[["training_minutes", "unlearning_minutes"]].to_numpy().sum()
    print(f"about {total:.0f} minutes on {n_jobs} worker(s) of {devices.name(torch.device(device))}")
    if not args.plan:
        run(jobs, args.methods, folder, n_jobs)
        print(f"records.csv, tuning.csv and models.csv are in {folder}")
        if args.share:
            share(jobs, Path(args.share))
