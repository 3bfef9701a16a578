"""Kills at random moments, and nothing is lost: `make torture` (50 of them, in about a quarter of an hour).

A training, forgetting, records of two workers, and the published experiments at a tiny size are each
computed once undisturbed, then again and again with SIGKILL: at a random moment, or as soon as the n-th file
is being written; to all processes, or to the first alone, whose workers then have to end by themselves.
After each kill every file is whole, and what was finished is untouched; in the end there are the same files
as undisturbed (so nothing twice, no leftovers) with the same results, bit for bit. Only seconds may differ.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import torch._dynamo  # noqa: F401  (an optimizer imports it, for seconds: once for all forks)

from lfssd_nb import cli, data
from lfssd_nb.lab import records
from lfssd_nb.lab.cases import Case, Run
from lfssd_nb.networks import Architecture, Recipe, resume
from lfssd_nb.networks.training import trained
from lfssd_nb.system import files

NET = Architecture("resnet18", 8)
CASES = [Case("digits", NET, "class", "3", seed, (0, 1), 100, Recipe(2)) for seed in (0, 1)]
METHODS = ("nothing", "retrain", "class_mask", "lfssd", "ssd", "jit", "scrub")
RUNS = [Run(case, method) for case in CASES for method in METHODS]
STAGE = "cifar10-random-resnet18"
ORPHANS = 60.0  # seconds: half a second is usual


def training(place: Path) -> None:
    resume.EVERY = 0.0  # seconds between two copies of a training
    trained(data.load("digits", device="cpu").subset(100), NET, Recipe(25), show=False, must_cache=True)


def forgetting(place: Path) -> None:
    options = ["--data", "digits", "--subset", "300", "--width", "8", "--epochs", "4", "--device", "cpu"]
    assert cli.main(["forget", *options, "--json", str(place / "forgotten.json")]) == 0


def runner(place: Path) -> None:
    records.run(RUNS, place / "records", n_jobs=2)


def reproduction(place: Path) -> None:
    """As "cifar10" 100 digits, see `pictures`."""
    size = ["--profile", "small", "--seeds", "0", "1", "--images", "100", "--epochs", "1", "--device", "cpu"]
    what = ["--stages", STAGE, "--methods", "nothing", "lfssd", "--jobs", "2", "--out", str(place / "out")]
    assert cli.main(["reproduce", *size, *what]) == 0


WORK = {each.__name__: each for each in (training, forgetting, runner, reproduction)}


def result(place: Path) -> list[str]:
    """All that came of it, as text, without seconds."""
    found = [files.digest(files.load(path)[0]) for path in sorted(place.glob("cache/models/*"))]
    if (path := place / "forgotten.json").exists():
        found += [str({k: v for k, v in json.loads(path.read_text()).items() if k != "seconds"})]
    tables = [pd.read_csv(path) for path in sorted(place.glob("out/*.csv")) if path.stem != "models"]
    tables += [records.load(place / "records", RUNS)] if (place / "records").exists() else []
    return found + [table.drop(columns="seconds", errors="ignore").to_csv() for table in tables]


def names(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*") if path.name != "log"}


def finished(place: Path) -> dict[Path, tuple[int, bytes]]:
    """Records and trained models, each of them whole, else this raises `files.CorruptFile`."""
    found = [*place.glob("*/*.json"), *place.glob("cache/models/*.safetensors")]
    for path in found + [*place.glob("cache/models/*.halfway")]:
        (files.read_json if path.suffix == ".json" else files.load)(path)
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def begin(work, place: Path) -> int:
    """A process group that does the work in ``place``: a fork, as importing torch takes seconds."""
    pid = os.fork()
    if pid:
        with suppress(PermissionError):
            os.setpgid(pid, pid)  # whichever comes first
        return pid
    try:
        os.setpgid(0, 0)
        log = os.open(place / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1), os.dup2(log, 2)
        os.environ["LFSSD_CACHE"] = str(place / "cache")
        work(place)
        code = 0
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(code)


def living(group: int) -> list[int]:
    """The processes of a group that still do something."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def alone(group: int) -> float:
    """Waits until the workers of an ended process have ended, too; seconds."""
    start = time.monotonic()
    while left := living(group):
        assert time.monotonic() - start < ORPHANS, f"{left} outlive their parent"
        time.sleep(0.02)
    return time.monotonic() - start


@dataclass
class Told:
    """What happened to one kind of work."""

    kills: int = 0
    rounds: int = 0
    halves: int = 0  # kills that left a half-written file
    continued: int = 0  # trainings that went on in the middle
    orphaned: list[float] = field(default_factory=list)  # seconds that workers outlived their parent


def one_round(name: str, kills: int, place: Path, rng: random.Random, usual: float, told: Told) -> None:
    """Kills until the work comes to its end, ``kills`` times in all at most."""
    place.mkdir()
    before = {}
    while True:
        told.continued += bool([*place.glob("cache/models/*.halfway")])
        first, writing, nth = rng.random() < 0.5, rng.random() < 0.5, rng.randint(1, 6)
        older, written, status = {*place.rglob("*.part")}, set(), (0, 0)
        pid, end = begin(WORK[name], place), time.monotonic() + usual * rng.uniform(0.1, 0.8)
        while not status[0]:
            written |= {*place.rglob("*.part")} - older
            due = len(written) >= nth if writing else time.monotonic() > end
            if due and told.kills < kills:
                (os.kill if first else os.killpg)(pid, signal.SIGKILL)
                status = os.waitpid(pid, 0)
            else:
                status = os.waitpid(pid, os.WNOHANG)
                time.sleep(0.001)
        outlived = alone(pid)
        now = finished(place)
        assert before.items() <= now.items(), f"{name}: something finished was written again"
        before = now
        if not os.WIFSIGNALED(status[1]):
            assert status[1] == 0, f"{name} failed:\n{(place / 'log').read_text()[-5000:]}"
            break
        told.kills += 1
        told.halves += bool({*place.rglob("*.part")} - older)
        told.orphaned += [outlived] if first else []
    told.rounds += 1


def torture(name: str, kills: int, folder: Path, rng: random.Random) -> Told:
    """Raises ``AssertionError`` for whatever is not as undisturbed."""
    told, whole, start = Told(), folder / f"{name} undisturbed", time.monotonic()
    whole.mkdir()
    pid = begin(WORK[name], whole)
    assert os.waitpid(pid, 0)[1] == 0, (whole / "log").read_text()[-5000:]
    usual = time.monotonic() - start
    alone(pid)
    while told.kills < kills:
        place = folder / f"{name} {told.rounds}"
        one_round(name, kills, place, rng, usual, told)
        assert names(place) == names(whole), f"{name}: {names(place) ^ names(whole)} on one side alone"
        assert result(place) == result(whole), f"{name}: other results in {place} than in {whole}"
    return told


def pictures(root: Path) -> None:
    """100 digits as ``root/cifar10.npz``."""
    few = data.load("digits", device="cpu").subset(100)
    arrays = {
        f"{k}_images": (255 * few.images(getattr(few, f"{k}_x"))).round().byte() for k in ("train", "test")
    }
    arrays |= {f"{k}_label": getattr(few, f"{k}_y") for k in ("train", "test")}
    arrays = {k: v.numpy() for k, v in arrays.items()}
    np.savez(root / "cifar10.npz", names=json.dumps({"label": list(few.classes)}), **arrays)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="of all kinds together (default: 50)")
    parser.add_argument("--work", nargs="+", choices=WORK, default=[*WORK], help="only these kinds")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"LFSSD_DATA": folder, "LFSSD_PROGRESS": "off", "OMP_NUM_THREADS": "1"}
        pictures(Path(folder))
        total = 0
        for k, name in enumerate(args.work):
            kills, begun = len(range(k, args.kills, len(args.work))), time.monotonic()
            told = torture(name, kills, Path(folder), random.Random(f"{args.seed} {name}"))
            total += told.kills
            print(
                f"{name}: {told.kills} kills, {told.rounds} rounds, {told.halves} in the middle of a file, "
                f"{told.continued} trainings continued, workers outlived their parent for at most "
                f"{max(told.orphaned, default=0):.1f} s; {time.monotonic() - begun:.0f} s", flush=True,
            )  # fmt: skip
    print(f"{total} kills in {time.monotonic() - start:.0f} s: the same files and results as undisturbed")


if __name__ == "__main__":
    main()
