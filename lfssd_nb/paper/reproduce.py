"""``lfssd-nb reproduce``: the published experiments from nothing to tables, resumable, with a plan first.

Everything lies in one folder: ``KEY.json`` for each finished record, and ``records.csv``, ``tuning.csv`` and
``models.csv`` (one row a model: seconds, images a second, and the device's floor), written at the end and
whenever the run is interrupted in a way that a program can notice.
"""

import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import joblib
import pandas as pd
import torch

from ..audit.how_accurate import accuracy
from ..data import downloads
from ..lab import cases, record_files, records, tuning
from ..lab.jobs import in_parallel, single_threaded
from ..networks import checkpoints
from ..networks.architecture import build
from ..networks.identity import cache_root
from ..networks.training import trained
from ..system import device as devices
from ..system import files, places
from ..system.named import unknown
from . import published
from .finished import collect
from .plan import compiled_where_it_pays, plan
from .published import EXTRA, STAGES, Job, runs_of, tunings_of
from .sizes import PRETRAINED, PROFILES, SCRATCH, Profile


def chosen(profile: Profile, names: Sequence[str] | None, device: str) -> list[Job]:
    """The stages by name (None: all of `STAGES` that can run here). Prints which cannot, and what takes their
    place.

    Raises ``ValueError`` for a name that does not exist, or if nothing can run.
    """
    known = [stage.name for stage in (*STAGES, *EXTRA)]
    for name in names or ():
        if name not in known:
            raise ValueError(unknown("stage", name, known))
    wanted = list(STAGES) if names is None else [s for s in (*STAGES, *EXTRA) if s.name in names]
    if names is None:  # the faces that the study used where you have them, else those of scikit-learn
        mine = (downloads.data_root() / "pins").is_dir() or (downloads.data_root() / "pins.npz").exists()
        wanted = [stage for stage in wanted if stage.data != ("olivetti" if mine else "pins")]
    found = []
    for stage in wanted:
        job = Job(stage, profile, device)
        try:
            if profile.vit == "vit_b_16" and stage.network == "vit":
                job = _pretrained_or_scratch(job)
            cases.setting(job.cases()[0])
        except (ConnectionError, FileNotFoundError) as error:
            print(f"{stage.name} is left out: {error}", file=sys.stderr)
            continue
        found.append(job)
    if not found:
        raise ValueError("no stage is left to run: what each of them lacks stands above")
    return found


def _pretrained_or_scratch(job: Job) -> Job:
    d, _ = cases.setting(job.cases()[0])
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
    noted = (record_files.rows(path, ()) or [{}])[0]
    before = len(noted)
    for d in {job.stage.data: cases.dataset(job.cases()[0]) for job in jobs}.values():
        pixels = {name: (255 * d.images(getattr(d, name))).round().byte() for name in ("train_x", "test_x")}
        tensors = pixels | {"y": d.train_y, "test_y": d.test_y}  # bytes: the same on every device
        if noted.setdefault(f"{d.name}, {len(d.train_y)}", here := files.digest(tensors)) != here:
            raise ValueError(
                f"the records in {folder} are of another copy of {d.name} than that in "
                f"{downloads.data_root()}: choose another folder (--out) for it"
            )
    if len(noted) > before:
        files.write_json(path, noted)


def run(
    jobs: Sequence[Job],
    methods: Sequence[str] | None,
    folder: Path,
    n_jobs: int | None,
    retry: bool = False,
) -> pd.DataFrame:
    """Trains, tunes, unlearns and measures what ``folder`` lacks; returns the records of all jobs. Errors and
    ``retry``: as in `records.run`."""
    try:
        records.train([run for job in jobs for run in published.runs(job, {}, methods=methods)], n_jobs)
        tunings = [(each, folder) for job in jobs for each in tunings_of(job, methods)]
        in_parallel(tuning.run, tunings, n_jobs, "tuning")
        runs = [run for job in jobs for run in runs_of(job, methods, folder)]
        return records.run(runs, folder, n_jobs, retry)
    finally:
        collect(jobs, methods, folder)


def share(jobs: Sequence[Job], folder: Path) -> None:
    """Half-precision checkpoints of the original models, DATA-NETWORK-SIZE-SEED, with their test accuracy."""
    for case in dict.fromkeys(replace(c, kind="", target="") for job in jobs for c in job.cases()):
        d = cases.dataset(case)
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
        raise ValueError(unknown("profile", name, PROFILES))
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
    scale = profile(args.profile, images=args.images, epochs=args.epochs, seeds=args.seeds,
                    targets=args.targets, vit=args.vit)  # fmt: skip
    device = str(devices.usable(devices.best() if args.device is None else args.device))
    out = f"build/reproduce/{args.profile}" if args.out is None else args.out
    for what, place in (("--out", out), ("--share", args.share), ("LFSSD_CACHE", cache_root())):
        if place is not None:
            places.check_folder(place, what)
    folder = Path(out).absolute()
    n_jobs = args.jobs or (joblib.cpu_count() if device == "cpu" else 1)
    jobs = chosen(scale, args.stages, device)
    same_images(jobs, folder)
    jobs = [compiled_where_it_pays(job, folder) for job in jobs]
    table = plan(jobs, args.methods, folder, n_jobs, args.retry)
    print(table.round(1).to_string(index=False))
    total = table[["training_minutes", "unlearning_minutes"]].to_numpy().sum()
    print(f"about {total:.0f} minutes on {n_jobs} worker(s) of {devices.name(torch.device(device))}")
    if not args.plan:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"\d+ of \d+ records failed")  # said below, in a line
            found = run(jobs, args.methods, folder, n_jobs, args.retry)
        if failed := record_files.failures(found):
            print(failed, file=sys.stderr)
        print(f"records.csv, tuning.csv and models.csv are in {folder}")
        if args.share is not None:
            share(jobs, Path(args.share))
