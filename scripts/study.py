"""make study: the method comparison on the digits, from nothing to the committed CSV files.

tune   every method on one validation case per network and scenario, over a few values of one setting;
grid   every method, with the setting that tuning chose, on all cases;
digits LFSSD and SSD at their defaults on all ten digits;
sweep  accuracies over alpha for five estimators of importance, on all cases (notebook 09);
rules  what choosing alpha without gold comes to, by five rules and an oracle (notebook 12; `study_choice`);
all    everything (default);
collect  writes what is finished so far and computes nothing.

Resumable: finished records in build/study are never computed again.

``--quick`` runs a slice of the grid (one target, seed 0, ResNet18) without tuning it anew.
"""

import argparse
from itertools import product
from pathlib import Path

import joblib
import pandas as pd
import study_choice

from lfssd_nb.baselines import METHODS
from lfssd_nb.lab import records, sweep_cases
from lfssd_nb.lab.cases import Case, Run
from lfssd_nb.lab.read_records import RECORDS
from lfssd_nb.networks.architecture import Architecture

ROOT = Path(__file__).resolve().parent.parent
NETS = {"resnet18": Architecture("resnet18", 16), "vit": Architecture("vit")}
SEEDS = {"resnet18": range(5), "vit": range(3)}  # of all methods; CORE has five seeds on both
CORE = ("nothing", "retrain", "lfssd", "ssd")
DATA = {"class": "digits", "subclass": "digits5", "random": "digits"}
TARGETS = {"class": ("0", "3", "8"), "subclass": ("1", "3", "8"), "random": ("14@0", "70@0", "140@0")}
VALIDATION = {"class": "9", "subclass": "9", "random": "70@9"}  # not among the targets, other seeds too
KNOBS = {  # method: (setting, values); the published value is among them where there is one
    "finetune": ("lr", (0.02, 0.05, 0.1, 0.2)),
    "gradient_ascent": ("lr", (1e-4, 2e-4, 5e-4, 1e-3, 2e-3)),
    "neggrad_plus": ("lr", (0.003, 0.01, 0.03)),
    "random_labels": ("lr", (3e-5, 1e-4, 3e-4, 1e-3)),
    "bad_teacher": ("lr", (1e-4, 3e-4, 1e-3, 3e-3)),
    "unsir": ("lr", (1e-4, 3e-4, 1e-3, 3e-3)),
    "scrub": ("lr", (0.005, 0.01, 0.02, 0.05, 0.1)),
    "salun": ("lr", (0.01, 0.03, 0.1)),
    "l1_sparse": ("gamma", (1e-4, 5e-4, 2e-3, 5e-3, 1e-2)),
    "fisher_forgetting": ("alpha", (1e-6, 1e-7, 1e-8, 1e-9, 1e-10)),
    "jit": ("lr", (1e-3, 3e-3, 1e-2, 3e-2)),
    "xalfssd": ("rho", (0.5, 0.3, 0.1)),
    "ssd": ("scale", (0.2, 0.35, 0.5, 0.65, 0.8)),
    "lfssd": ("scale", (0.15, 0.25, 0.4, 0.55, 0.7)),
}
BATCH = {  # batch-mean alphas: published ones among them, for (method, scenario)
    "ssd": (2.0, 5.0, 10.0, 25.0, 50.0),
    "lfssd": (2.0, 3.5, 5.0, 7.0, 10.0),
}
PUBLISHED = {  # FIELD: CIFAR-20 class, CIFAR-20 sub-class, CIFAR-10 random; lambda 1, batch 64
    ("ssd", "resnet18"): {"class": 10.0, "subclass": 10.0, "random": 10.0},
    ("ssd", "vit"): {"class": 5.0, "subclass": 25.0, "random": 10.0},
    ("lfssd", "resnet18"): {"class": 5.0, "subclass": 10.0, "random": 3.5},
    ("lfssd", "vit"): {"class": 5.0, "subclass": 10.0, "random": 3.5},
}
ALWAYS = {"fisher_forgetting": {"n_samples": 400}}
LEFT_OUT = ("ntk_scrubbing",)  # needs the Jacobian of the whole network: notebook 07 shows it on a small one


def tuning(net: str, methods: set[str]) -> list[Run]:
    runs = []
    for kind, target in VALIDATION.items():
        case = Case(DATA[kind], NETS[net], kind, target, seed=9, gold_seeds=(10, 11))
        for name, (setting, values) in KNOBS.items():
            if kind in METHODS[name].kinds:
                runs += [
                    Run(case, name, f"{setting}={value:g}", {setting: value} | ALWAYS.get(name, {}))
                    for value in values
                ]
        for name, alphas in BATCH.items():
            runs += [Run(case, name, f"batch alpha={a:g}", dict(alpha=a, reduction="batch")) for a in alphas]
    return [each for each in runs if each.method in methods]


def chosen(net: str, kind: str, runs: list[Run], records: pd.DataFrame) -> dict[tuple[str, str], dict]:
    """(method, variant) -> settings with the highest ToW on the validation case."""
    by_key = {
        each.key: each for each in runs if (each.case.architecture, each.case.kind) == (NETS[net], kind)
    }
    table = records[records.key.isin(by_key)].dropna(subset="tow")  # NaN: a value at which it diverged
    table = table.assign(run=[by_key[key] for key in table.key])
    table["variant"] = ["batch" if run.settings.get("reduction") == "batch" else "tuned" for run in table.run]
    best = table.loc[table.groupby(["method", "variant"]).tow.idxmax()]
    return {(row.method, row.variant): row.run.settings for row in best.itertuples()}


def grid(net: str, methods: set[str], runs: list[Run], records: pd.DataFrame, quick: bool = False):
    found = []
    for seed, (kind, targets) in product((0,) if quick else range(5), TARGETS.items()):
        settings = chosen(net, kind, runs, records)
        variants = [(name, "tuned", settings.get((name, "tuned"), ALWAYS.get(name, {}))) for name in METHODS]
        variants = [each for each in variants if each[0] not in ("lfssd", "ssd")]
        for name in ("lfssd", "ssd"):
            published = dict(alpha=PUBLISHED[name, net][kind], reduction="batch")
            variants += [(name, "default", {}), (name, "batch", settings.get((name, "batch"), published))]
            variants += [(name, "published", published)]
        for target in targets[1:2] if quick else targets:
            case = Case(DATA[kind], NETS[net], kind, target, seed)
            found += [
                Run(case, name, variant, how, deep=True)
                for name, variant, how in variants
                if name in methods and kind in METHODS[name].kinds and (name in CORE or seed in SEEDS[net])
            ]
    return found


def all_digits() -> list[Run]:
    """LFSSD and SSD at their defaults on every digit, with nothing and gold beside them."""
    cases = [Case("digits", NETS["resnet18"], "class", str(c), seed) for c in range(10) for seed in range(5)]
    return [
        Run(case, name, "default" if name in ("lfssd", "ssd") else "tuned")
        for case in cases
        for name in ("nothing", "retrain", "lfssd", "ssd")
    ]


def sweeps() -> list[sweep_cases.Sweep]:
    """Every case of the grid, and classes of the coarser data set: alpha' from far below any useful value to
    the ceiling, lambda 1."""
    scales = tuple(round(0.005 * 200 ** (k / 27), 5) for k in range(28))
    kinds = [(DATA[kind], kind, target) for kind in TARGETS for target in TARGETS[kind]]
    kinds += [("digits5", "class", target) for target in ("0", "1", "3")]  # 0/8, 1/7 and 3/5 as a whole
    return [
        sweep_cases.Sweep(
            Case(data, net, kind, target, seed), scales, estimators=tuple(sweep_cases.ESTIMATORS)
        )
        for net, seed, (data, kind, target) in product(NETS.values(), range(5), kinds)
    ]


def collect(folder: Path) -> None:
    """Writes every finished record of the whole study, whatever part of it ran just now."""
    trials = [run for net in NETS for run in tuning(net, set(METHODS))]
    if len(tuned := records.load(folder, trials)):
        save(tuned, "tuning")
        runs = [run for net in NETS for run in grid(net, set(METHODS), trials, tuned)]
        save(records.load(folder, runs), "methods")
    save(records.load(folder, all_digits()), "all_digits")
    save(sweep_cases.load(folder, sweeps()), "sweeps", ".csv.gz")
    save(study_choice.load(folder), "choice")


def save(records: pd.DataFrame, name: str, suffix: str = ".csv") -> None:
    """Replaces the committed table, unless nothing of it was computed here."""
    if records.empty:
        return
    RECORDS.mkdir(exist_ok=True)
    path, how = RECORDS / f"{name}{suffix}", None
    if suffix == ".csv.gz":
        how = dict(method="gzip", mtime=0)  # equal records, equal bytes
    records.round(5).to_csv(path, index=False, compression=how)
    print(f"{len(records)} rows in {path}")


def engine(backend: str, address: str | None) -> joblib.parallel_config:
    """Where the jobs run; Dask and Ray run those of a killed worker again."""
    if backend == "dask":
        return joblib.parallel_config("dask", scheduler_host=address)
    if backend == "ray":
        import ray
        from ray.util.joblib import register_ray

        ray.init(address)
        register_ray()
        retry = dict(num_cpus=1, max_restarts=3, max_task_retries=3)
        return joblib.parallel_config("ray", ray_remote_args=retry)
    return joblib.parallel_config("loky")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    stages = ("all", "tune", "grid", "digits", "sweep", "rules", "collect")
    parser.add_argument("stage", nargs="?", default="all", choices=stages)
    parser.add_argument("--jobs", type=int, help="default: all cores, or all workers of a cluster")
    parser.add_argument("--backend", default="loky", choices=("loky", "dask", "ray"))
    parser.add_argument("--address", help="of the Dask scheduler or Ray cluster, as tcp://host:8786 or auto")
    parser.add_argument("--nets", nargs="+", default=list(NETS), choices=list(NETS))
    parser.add_argument("--methods", nargs="+", default=[m for m in METHODS if m not in LEFT_OUT])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(5)))
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    folder = ROOT / "build" / "study"
    if args.stage == "collect":
        collect(folder)
        return
    with engine(args.backend, args.address):
        if args.stage in ("tune", "grid", "all"):
            trials = [each for net in args.nets for each in tuning(net, set(args.methods))]
            tuned = records.run(trials, folder, args.jobs)
        if args.stage in ("grid", "all"):
            runs = [
                run for net in args.nets for run in grid(net, set(args.methods), trials, tuned, args.quick)
            ]
            runs = [run for run in runs if run.case.seed in args.seeds]
            found = records.run(runs, folder, args.jobs)
            if args.quick:
                print(found[["scenario", "method", "variant", "tow", "seconds"]])
                return
        if args.stage in ("digits", "all"):
            records.run(all_digits(), folder, args.jobs)
        if args.stage in ("sweep", "all"):
            sweep_cases.run(sweeps(), folder, args.jobs)
        if args.stage in ("rules", "all"):
            study_choice.run(study_choice.here(), folder, args.jobs)
    collect(folder)


if __name__ == "__main__":
    main()
