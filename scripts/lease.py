"""The minutes for which a GPU is lent: what fits into them, and what is brought back from them."""

import io
import json
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd
import torch

from lfssd_nb.audit import how_accurate
from lfssd_nb.lab import cases, record_files, records
from lfssd_nb.networks.training import trained
from lfssd_nb.paper import finished, plan, published
from lfssd_nb.system import files

FIRST_GUESS = 60.0  # seconds of a kind of piece that has not been seen yet
TOOK = "took.json"  # beside the records: how long pieces took in earlier calls


@dataclass
class Lease:
    """The time that is left, where results go, and what a kind of piece takes: its longest, and a margin."""

    seconds: float
    out: Path
    work: Path
    device: str
    rehearsal: bool
    stages: tuple[str, ...]
    compiled: bool = False
    begun: float = field(default_factory=lambda: time.perf_counter())

    @property
    def left(self) -> float:
        return self.seconds - (time.perf_counter() - self.begun)

    @property
    def took(self) -> dict[str, float]:
        path = self.work / TOOK
        return (record_files.rows(path, ()) or [{}])[0]

    def say(self, text: str) -> None:
        line = f"[{time.perf_counter() - self.begun:6.1f} s] {text}"
        print(line, flush=True)
        with (self.out / "log.txt").open("a") as file:
            file.write(line + "\n")

    def piece(self, kind: str, name: str, work: Callable[[], object]) -> bool:
        """Does a piece if there is time for one of its kind; an error of it is said and stops no other."""
        needed = self.took.get(kind, 0.0 if self.rehearsal else FIRST_GUESS)
        if self.left < needed:
            self.say(f"no time for {name}: {kind} takes {needed:.0f} s")
            return False
        start = time.perf_counter()
        try:
            found = work()
        except Exception as error:
            self.say(f"{name}: FAILED: {error!r}".splitlines()[0])
            return True
        spent = time.perf_counter() - start
        longest = max(1.2 * spent, self.took.get(kind, 0.0))  # what comes from a cache takes no time
        files.write_json(self.work / TOOK, self.took | {kind: longest})
        self.say(f"{name}: {found if found is not None else 'done'} ({spent:.1f} s)")
        return True

    def train(self, case: cases.Case, seed: int, gold: bool) -> str:
        """A model into the cache, and a row in OUT/models.csv."""
        d, scenario = cases.setting(case)
        index = scenario.retain if gold else None
        model = trained(d, case.architecture, case.recipe, seed, index, show=False, must_cache=True)
        images, seconds = plan.training_cost(case, seed, gold)
        right = how_accurate.accuracy(model, d.test_x, d.test_y)
        scenario, target = (case.kind, case.target) if gold else ("", "")
        row = dict(data=case.data, scenario=scenario, gold_of=target, seed=seed) | asdict(case.architecture)
        row |= dict(images=images, seconds=seconds, rate=images / seconds, test_acc=right, source=d.source)
        self.append("models", row | {"recipe": json.dumps(asdict(case.recipe))})
        return f"{right:.2f} % of the test images, {images / seconds:.0f} images/s"

    def append(self, name: str, row: dict) -> None:
        """One row more in OUT/NAME.csv, if it is not there."""
        path = self.out / f"{name}.csv"
        rows = [pd.read_csv(path, dtype=str)] if path.exists() else []
        row = pd.DataFrame([row | records.versions(torch.device(self.device))])
        table = pd.concat([*rows, row.astype(str)]).fillna("").drop_duplicates()
        files.write(path, table.to_csv(index=False).encode())

    def bring_back(self, jobs: list[published.Job]) -> None:
        """The tables of what is finished, and all of it as one file."""
        finished.write_tables(finished.tables(jobs, None, self.work), self.out)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
            for path in sorted(self.work.glob("*.json")):
                file.write(path, path.name)
        files.write(self.out / "records.zip", buffer.getvalue())
