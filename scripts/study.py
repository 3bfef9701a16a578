"""make study: the method comparison on the digits, from nothing to the committed CSV files.

tune   one setting of every method by the protocol of `lab.trials`: two held-out targets on two networks;
grid   every method, with the setting that tuning chose, on six networks of either kind;
digits LFSSD and SSD at their defaults on all ten digits;
sweep  accuracies over alpha for five estimators of importance, on all cases (notebook 09);
rules  what choosing alpha without gold comes to, by five rules and an oracle, and with lambda and layers to
       choose as well (notebook 12; `study_choice`, `study_wider`);
all    everything (default);
collect  writes what is finished so far and computes nothing;
unpack   takes the committed tuning and comparison as finished, to extend them rather than to start anew.

Resumable: finished records in build/study are never computed again. `check_study.py` computes a random
twentieth of what is committed anew.

``--quick`` runs a slice of the grid (one target, seed 0, ResNet18) with the settings of the committed tuning.
"""

import argparse
from itertools import product
from pathlib import Path

import joblib
import pandas as pd
import study_choice
import study_wider

from lfssd_nb import data, unlearn
from lfssd_nb.agreement import NAME as AGREEMENT
from lfssd_nb.baselines import METHODS
from lfssd_nb.data.validation import validation
from lfssd_nb.lab import records, sweep_cases, trials
from lfssd_nb.lab.cases import Case, Run
from lfssd_nb.lab.read_records import RECORDS, read
from lfssd_nb.lab.trials import Ladder
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.paper.published import published_settings
from lfssd_nb.system import files

ROOT = Path(__file__).resolve().parent.parent
NETS = {"resnet18": Architecture("resnet18", 16), "vit": Architecture("vit")}
SEEDS = range(6)
DATA = {"class": "digits", "subclass": "digits5", "random": "digits"}
TARGETS = {  # of the networks in turn, so that each target has two
    "class": ("0", "3", "8"),
    "subclass": ("1", "3", "8"),
    "random": ("14@0", "70@0", "140@0"),
}
HELD_OUT = {"class": ("9", "5"), "subclass": ("9", "6"), "random": ("70@9", "140@8")}  # never in a table
HELD_OUT_SEEDS = (8, 9)
LADDERS = tuple(  # three values around the source's, in equal ratios; the protocol adds what is missing
    Ladder(name, setting, values, **more)
    for name, setting, values, more in (
        ("finetune", "lr", (0.007, 0.02, 0.06), {}),
        ("gradient_ascent", "lr", (3e-5, 1e-4, 3e-4), {}),
        ("neggrad_plus", "lr", (0.003, 0.01, 0.03), {}),
        ("random_labels", "lr", (3e-5, 1e-4, 3e-4), {}),
        ("bad_teacher", "lr", (3e-5, 1e-4, 3e-4), {}),
        ("unsir", "lr", (3e-5, 1e-4, 3e-4), {}),
        ("scrub", "lr", (0.002, 0.005, 0.015), {}),
        ("salun", "lr", (0.03, 0.1, 0.3), {}),
        ("l1_sparse", "gamma", (5e-5, 5e-4, 5e-3), {}),
        ("fisher_forgetting", "alpha", (1e-8, 1e-7, 1e-6), {"others": {"n_samples": 400}}),
        ("jit", "lr", (3e-3, 1e-2, 3e-2), {}),
        ("xalfssd", "rho", (0.7, 0.5, 0.3), {"bounds": (0.0, 1.0)}),
        ("ssd", "scale", (0.6, 0.4, 0.25), {"bounds": (0.0, 1.0)}),
        ("lfssd", "scale", (0.6, 0.4, 0.25), {"bounds": (0.0, 1.0)}),
        ("ssd", "alpha", (10.0, 5.0, 2.5), {"variant": "batch", "others": {"reduction": "batch"}}),
        ("lfssd", "alpha", (10.0, 5.0, 2.5), {"variant": "batch", "others": {"reduction": "batch"}}),
    )
)
LEFT_OUT = ("ntk_scrubbing",)  # needs the Jacobian of the whole network: notebook 07 shows it on a small one


def held_out(net: str, kind: str) -> list[Case]:
    """The cases to tune on, each target with a network of its own: neither is in the grid, and a tenth of D
    takes the place of the test set."""
    unseen = validation(data.load(DATA[kind], device="cpu"))
    # gold models are not read: a case names some
    return [
        Case(unseen, NETS[net], kind, target, seed, (0,))
        for seed, target in zip(HELD_OUT_SEEDS, HELD_OUT[kind], strict=True)
    ]


def ladders(kind: str, methods: set[str]) -> list[Ladder]:
    return [each for each in LADDERS if each.method in methods and kind in METHODS[each.method].kinds]


def tune(folder: Path, nets: list[str], methods: set[str], n_jobs: int | None) -> None:
    """Computes the trials that the folder lacks, a network and scenario at a time."""
    for net, kind in product(nets, TARGETS):
        trials.tune(ladders(kind, methods), held_out(net, kind), folder, n_jobs)


def tuned(folder: Path) -> pd.DataFrame:
    """All trials that are finished; a row that the protocol chose is ``chosen``."""
    found = []
    for net, kind in product(NETS, TARGETS):
        mine, several = ladders(kind, set(METHODS)), held_out(net, kind)
        table = trials.load(mine, several, folder)
        if table.empty:
            continue
        table["chosen"] = False
        for each in mine:
            rows = (table.method == each.method) & (table.variant == each.variant)
            if rows.any():
                best = trials.choice(trials.extended(each, several, folder), table)
                table.loc[rows & (table.value == best), "chosen"] = True
        found.append(table)
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def chosen(table: pd.DataFrame, net: str, kind: str) -> dict[tuple[str, str], dict]:
    """(method, variant) -> the settings that tuning chose, from a table of `tuned`."""
    mine = table[(table.architecture == NETS[net].name) & (table.scenario == kind) & table.chosen]
    by = {(each.method, each.variant): each for each in LADDERS}
    return {
        (row.method, row.variant): by[row.method, row.variant].settings(row.value)
        for row in mine.drop_duplicates(["method", "variant"]).itertuples()
    }


def grid(net: str, methods: set[str], table: pd.DataFrame, quick: bool = False) -> list[Run]:
    """Every method on six networks, each with one target of every scenario. LFSSD and SSD as tuned, at the
    constant alpha', by agreement, as means of batches, and as published; methods "as in their authors' code"
    at its settings."""
    found = []
    for kind, targets in TARGETS.items():
        how = chosen(table, net, kind)
        variants = [(*pair, settings) for pair, settings in how.items()]
        for name in METHODS:
            if name in unlearn.METHODS:
                published = published_settings(name, net, kind)
                variants += [(name, "agreement", {"alpha": AGREEMENT}), (name, "published", published)]
            if name in unlearn.METHODS or (name, "tuned") not in how:
                variants += [(name, "default", {})]
        for seed in SEEDS[:1] if quick else SEEDS:
            case = Case(DATA[kind], NETS[net], kind, targets[seed % len(targets)], seed, tuple(SEEDS))
            found += [
                Run(case, name, variant, settings, deep=True)
                for name, variant, settings in variants
                if name in methods and kind in METHODS[name].kinds
            ]
    return [run for run in found if run.method not in LEFT_OUT]


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


def unpack(folder: Path) -> None:
    """Writes a record for each committed row of the tuning and the comparison that the folder lacks."""
    for name in ("tuning", "methods"):
        for row in pd.read_csv(RECORDS / f"{name}.csv", dtype={"target": str}).to_dict("records"):
            path = folder / f"{row.pop('key')}.json"
            if not path.exists():
                files.write_json(path, {k: v for k, v in row.items() if k != "chosen" and not pd.isna(v)})


def collect(folder: Path) -> None:
    """Writes every finished record of the whole study, whatever part of it ran just now."""
    if len(table := tuned(folder)):
        save(table, "tuning")
        save(records.load(folder, [run for net in NETS for run in grid(net, set(METHODS), table)]), "methods")
    save(records.load(folder, all_digits()), "all_digits")
    save(sweep_cases.load(folder, sweeps()), "sweeps", ".csv.gz")
    save(study_choice.load(folder), "choice")
    save(study_wider.load(folder), "wider")


def save(records: pd.DataFrame, name: str, suffix: str = ".csv") -> None:
    """Replaces the committed table, unless nothing of it was computed here."""
    if records.empty:
        return
    RECORDS.mkdir(exist_ok=True)
    path, how = RECORDS / f"{name}{suffix}", None
    if suffix == ".csv.gz":
        how = dict(method="gzip", mtime=0)  # equal records, equal bytes
    exact = ["value"] if "value" in records else []  # of a setting: 1e-8 is not 0
    rounded = records.round(5).assign(**{name: records[name] for name in exact})
    rounded.to_csv(path, index=False, compression=how)
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
    stages = ("all", "tune", "grid", "digits", "sweep", "rules", "collect", "unpack")
    parser.add_argument("stage", nargs="?", default="all", choices=stages)
    parser.add_argument("--jobs", type=int, help="default: all cores, or all workers of a cluster")
    parser.add_argument("--backend", default="loky", choices=("loky", "dask", "ray"))
    parser.add_argument("--address", help="of the Dask scheduler or Ray cluster, as tcp://host:8786 or auto")
    parser.add_argument("--nets", nargs="+", default=list(NETS), choices=list(NETS))
    parser.add_argument("--methods", nargs="+", default=[m for m in METHODS if m not in LEFT_OUT])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    folder, methods = ROOT / "build" / "study", set(args.methods)
    if args.stage in ("collect", "unpack"):
        {"collect": collect, "unpack": unpack}[args.stage](folder)
        return
    with engine(args.backend, args.address):
        if args.stage in ("tune", "all") and not args.quick:
            tune(folder, args.nets, methods, args.jobs)
        if args.stage in ("grid", "all"):
            table = read(RECORDS / "tuning.csv") if args.quick else tuned(folder)
            runs = [run for net in args.nets for run in grid(net, methods, table, args.quick)]
            found = records.run([run for run in runs if run.case.seed in args.seeds], folder, args.jobs)
            if args.quick:
                print(found[["scenario", "method", "variant", "tow", "seconds"]])
                return
        if args.stage in ("digits", "all"):
            records.run(all_digits(), folder, args.jobs)
        if args.stage in ("sweep", "all"):
            sweep_cases.run(sweeps(), folder, args.jobs)
        if args.stage in ("rules", "all"):
            study_choice.run(study_choice.choices(), folder, args.jobs)
            study_wider.run(study_wider.jobs(), folder, args.jobs)
    collect(folder)


if __name__ == "__main__":
    main()
