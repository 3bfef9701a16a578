"""The experiment runner: nothing twice, nothing lost, however often it is killed."""

import json
import math
import os
import pickle
import random
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch
from killing import HOLD, kill_group
from patience import patience, running, wait_until
from torch import nn

from lfssd_nb import baselines, data, networks
from lfssd_nb.audit import all_metrics, how_accurate
from lfssd_nb.data import scenarios
from lfssd_nb.lab import cases, record_files, records, sweep_cases
from lfssd_nb.lab.cases import Case, Run
from lfssd_nb.networks import training
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.recipes import Recipe
from lfssd_nb.system import files

NET = Architecture("resnet18", width=8)
CASE = Case("cifar10", NET, "class", "3", 0, gold_seeds=(0, 1))
OTHER = Case("cifar10", NET, "random", "8@5", 0, gold_seeds=(1,))
RUNS = [
    *(Run(CASE, name) for name in ("nothing", "retrain", "class_mask", "lfssd", "jit")),
    *(Run(OTHER, name) for name in ("nothing", "retrain", "lfssd", "jit", "scrub")),
]
TIMINGS = ["seconds"]


@pytest.fixture(autouse=True)
def surroundings_of_a_run(small, monkeypatch):
    monkeypatch.setenv("LFSSD_DATA", str(small))
    monkeypatch.setenv("LFSSD_CACHE", str(small / "cache"))
    cases._dataset.cache_clear()
    yield
    cases._dataset.cache_clear()


@pytest.fixture(scope="module")
def uninterrupted(small, tmp_path_factory):
    """The table of RUNS, computed in one go in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LFSSD_DATA", str(small))
        patch.setenv("LFSSD_CACHE", str(small / "cache"))
        cases._dataset.cache_clear()
        return records.run(RUNS, tmp_path_factory.mktemp("whole"), n_jobs=1)


def state(folder) -> dict:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def names(runs) -> set:
    return {f"{each.key}.json" for each in runs}


def assert_same_table(found, expected):
    found, expected = (table.drop(columns=TIMINGS, errors="ignore") for table in (found, expected))
    pd.testing.assert_frame_equal(found, expected)


# ---- records


def test_a_table_has_one_row_for_each_run_in_their_order(uninterrupted):
    table = uninterrupted
    assert list(table.method) == [each.method for each in RUNS]
    assert list(table.scenario) == ["class"] * 5 + ["random"] * 5 and set(table.target) == {"3", "8@5"}
    assert (table.n_train == 100).all() and set(table.n_forget) == {10, 8} and (table.gold_seeds == 1).all()
    measured = ["seconds", "passes", "gap", "tow", "js_forget", "js_test", "zrf", "auc", "tpr", "mia"]
    assert table[measured].notna().all(axis=None)
    assert (table.seconds >= 0).all() and (table.threads == 1).all()
    assert json.loads(table.settings[3]) == dict(baselines.METHODS["lfssd"].defaults)
    passes = dict(zip(table.method[:5], table.passes, strict=False))
    assert passes["nothing"] == 0 == passes["class_mask"]
    assert passes["retrain"] == 12 * 0.9  # 12 epochs over D_r, though it came from the cache
    assert passes["lfssd"] == 1.76  # D and D_f once, and 33 samples to make and check a plan of each
    assert passes["jit"] == 8 * 0.1  # two passes for each of four draws over D_f
    assert table.forget_train_acc[2] == 0 < table.forget_train_acc[0]


def test_what_exists_is_never_computed_again(uninterrupted, tmp_path, monkeypatch):
    folder = tmp_path / "records"
    first = records.run(RUNS[:3], folder, n_jobs=1)
    before = state(folder)
    assert before.keys() == names(RUNS[:3])
    computed, models_asked = [], []
    record, train = records._record, records.train_one
    monkeypatch.setattr(records, "_record", lambda each, *rest: computed.append(each) or record(each, *rest))
    monkeypatch.setattr(records, "train_one", lambda *each: models_asked.append(each) or train(*each))
    pd.testing.assert_frame_equal(records.run(RUNS[:3], folder, n_jobs=1), first)
    assert not computed and not models_asked and state(folder) == before
    more = records.run(RUNS[4::-1], folder, n_jobs=1)
    assert computed == [RUNS[4], RUNS[3]]
    after = state(folder)
    assert {name: after[name] for name in before} == before and after.keys() == names(RUNS[:5])
    more, whole = (table.dropna(axis=1, how="all") for table in (more[::-1], uninterrupted[:5]))
    assert_same_table(more.reset_index(drop=True), whole)


def test_a_changed_question_is_another_record():
    def key(case=CASE, method="lfssd", **rest):
        return Run(case, method, **rest).key

    other_cases = [
        Case("digits", NET, "class", "3", 0, (0, 1)),
        Case("cifar10", Architecture("resnet18", 16), "class", "3", 0, (0, 1)),
        Case("cifar10", NET, "random", "3", 0, (0, 1)),
        Case("cifar10", NET, "class", "4", 0, (0, 1)),
        Case("cifar10", NET, "class", "3", 1, (0, 1, 2)),
        Case("cifar10", NET, "class", "3", 0, (0, 1, 2)),
    ]
    keys = [key(), key(method="ssd"), key(variant="tuned"), key(deep=True), key(settings={"alpha": 3.0}),
            key(settings={"alpha": 4.0}), *(key(case) for case in other_cases)]  # fmt: skip
    assert len(set(keys)) == len(keys) and all(len(k) == 20 for k in keys)
    both = [key(settings=dict(pairs)) for pairs in ([("alpha", 1), ("lam", 2)], [("lam", 2), ("alpha", 1)])]
    assert both[0] == both[1]


def test_temporary_and_foreign_files_are_no_records(tmp_path):
    tmp_path.joinpath(f"{RUNS[0].key}.json.1a2b3c4d.part").write_text('{"method": "half')
    tmp_path.joinpath("notes.json").write_text("{}")
    assert records.load(tmp_path, RUNS).empty
    assert list(records.run(RUNS[:1], tmp_path, n_jobs=1).method) == ["nothing"]


def test_an_interrupted_write_leaves_no_record(tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="could not write"):
        records.run(RUNS[:1], tmp_path / "records", n_jobs=1)
    assert not list((tmp_path / "records").iterdir())


def test_a_method_that_fails_is_a_row_and_the_rest_goes_on(tmp_path):
    runs = [
        Run(CASE, "finetune", "hopeless", {"lr": 1e30}),
        Run(OTHER, "class_mask"),  # there is no class to mask
        Run(CASE, "nothing"),
        Run(OTHER, "nothing"),
    ]
    with pytest.warns(UserWarning, match=r"2 of 4 records failed: finetune: the loss .* retry=True"):
        table = records.run(runs, tmp_path, n_jobs=1)
    assert "lower lr=1e+30" in table.error[0] and "class_mask needs the number of the class" in table.error[1]
    assert table.error[2:].isna().all() and table.tow[2:].notna().all() and table.tow[:2].isna().all()
    assert list(table.method) == [each.method for each in runs]
    before = state(tmp_path)
    with pytest.warns(UserWarning, match="2 of 4"):  # not only the first time
        records.run(runs, tmp_path, n_jobs=1)
    assert state(tmp_path) == before  # an error is an answer


def test_errors_are_tried_again_when_asked_and_memory_always(tmp_path, monkeypatch):
    answers = {
        "nothing": ValueError("a hopeless setting"), "lfssd": torch.OutOfMemoryError("CUDA out of memory."),
        "class_mask": MemoryError(), "jit": RuntimeError("[enforce fail] can't allocate memory"),
    }  # fmt: skip
    runs, computed = [Run(CASE, name) for name in answers], []

    def battery(*_):
        computed.append(method := names_of.pop(0))
        if method in answers:
            raise answers[method]
        return {"tow": 1.0}

    def start(**how):
        names_of[:] = [each.method for each in runs if record_files.wanted(tmp_path, each, **how)]
        computed.clear()
        return records.run(runs, tmp_path, n_jobs=1, **how)

    names_of: list[str] = []
    monkeypatch.setattr(records, "battery", battery)
    with pytest.warns(UserWarning, match="4 of 4 records failed: nothing: a hopeless setting; retry=True"):
        table = start()
    assert all("out of memory" in said for said in table.error[1:])
    for name in ("lfssd", "class_mask", "jit"):
        del answers[name]
    with pytest.warns(UserWarning, match="1 of 4 records failed"):
        start()
    assert computed == ["lfssd", "class_mask", "jit"]
    del answers["nothing"]
    assert "error" not in start(retry=True) and computed == ["nothing"]
    start(retry=True)
    assert not computed


def test_another_error_ends_the_run(tmp_path, monkeypatch):
    def battery(*_):
        raise RuntimeError("a mistake in the program")

    monkeypatch.setattr(records, "battery", battery)
    with pytest.raises(RuntimeError, match="a mistake in the program"):
        records.run(RUNS[:1], tmp_path, n_jobs=1)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("method", "settings", "said"),
    [
        ("lfssd", {"alfa": 2}, "lfssd has no setting alfa; its settings: alpha, scale"),
        ("scrub", {"epoch": 1}, "scrub has no setting epoch; its settings: "),
        ("nothing", {"alpha": 1, "beta": 2}, "nothing has no setting alpha, beta; its settings: none"),
        ("lfsd", {}, "unknown method 'lfsd'; choose one of "),
    ],
)
def test_a_misspelt_run_cannot_be_made(method, settings, said):
    with pytest.raises(ValueError, match=said):
        Run(CASE, method, settings=settings)


def test_a_case_needs_a_gold_model_that_is_not_its_own():
    with pytest.raises(ValueError, match="but the case's own"):
        Case("cifar10", NET, "class", "3", 1, gold_seeds=(1,))


def test_every_model_is_trained_once_and_the_own_gold_is_no_yardstick(tmp_path, monkeypatch):
    monkeypatch.setenv("LFSSD_CACHE", str(tmp_path / "cache"))
    seen, sticks = [], []
    yardstick = records.yardstick

    def quick(model, x, y, recipe, seed, show, *rest):
        seen.append((len(x), seed))
        return model.eval()

    monkeypatch.setattr(training, "fit", quick)
    monkeypatch.setattr(records, "yardstick", lambda g, *rest: sticks.append(g) or yardstick(g, *rest))
    records.run([*RUNS[:2], RUNS[5]], tmp_path / "records", n_jobs=1)
    assert sorted(seen) == [(90, 0), (90, 1), (92, 0), (92, 1), (100, 0)]
    assert [len(golds) for golds in sticks] == [1, 1]
    drawn = networks.build(NET, data.load("cifar10", device="cpu"), seed=1).state_dict()
    assert all(torch.equal(v, drawn[k]) for golds in sticks for k, v in golds[0].state_dict().items())


def test_gold_is_at_no_distance_from_itself(small):
    d = data.load("cifar10", device="cpu")
    scenario = scenarios.forget_class(d, 3)
    net, untrained = (networks.build(NET, d, seed).eval() for seed in (0, 1))
    row = all_metrics.battery(
        net, d, scenario, all_metrics.yardstick([net, net], untrained, d, scenario), deep=True
    )
    assert (row["gap"], row["tow"], row["js_forget"], row["js_test"], row["activation"]) == (0, 1, 0, 0, 0)
    assert 0 < row["zrf"] < 1 and 0 <= row["probe"] <= 1 and 0 <= row["auc"] <= 1
    assert row["forget_test_acc"] == how_accurate.accuracies(net, d, scenario)["forget_test_acc"]
    at_random = scenarios.forget_random(d, 8)
    row = all_metrics.battery(
        net, d, at_random, all_metrics.yardstick([net], untrained, d, at_random), deep=True
    )
    assert row["gap"] == 0 and math.isnan(row["forget_test_acc"]) and "relearn" not in row


# ---- counting


def test_counting_counts_samples_of_one_kind_and_leaves_no_hook(tiny, few):
    hooks = nn.modules.module._global_forward_pre_hooks
    before = len(hooks)
    with records.counting(type(tiny)) as seen:
        networks.logits(tiny, few.train_x, batch_size=30)
        networks.logits(nn.Flatten(), few.train_x)
        assert len(hooks) == before + 1
    assert seen == [100] and len(hooks) == before
    networks.logits(tiny, few.train_x)
    assert seen == [100]
    with pytest.raises(FloatingPointError), records.counting(type(tiny)):
        raise FloatingPointError
    assert len(hooks) == before


# ---- killed and started again

ATTEMPTS = f"""
import os, pickle, sys
from lfssd_nb.lab import records
{HOLD}
runs, folder = pickle.load(open(sys.argv[1], "rb"))
print("ready", flush=True)
for line in sys.stdin:  # every attempt is a fork of this process, so that torch is imported once
    child = os.fork()
    if not child:
        os.setpgid(0, 0)  # a process group of its own, to be killed as a whole
        n_jobs, limit = map(int, line.split())
        hold(folder, limit)
        records.run(runs, folder, n_jobs)
        sys.exit(0)  # ends joblib's workers too
    os.setpgid(child, child)  # whichever comes first
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


class Attempts:
    """Runs that can be killed with all their workers: ``with Attempts(...) as a: a.start(2, limit=8)``."""

    def __init__(self, tmp_path, runs, folder):
        self.plan = tmp_path / "plan"
        self.plan.write_bytes(pickle.dumps((runs, folder)))

    def __enter__(self):
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", ATTEMPTS, str(self.plan)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        assert self.process.stdout.readline() == "ready\n", self.process.stderr.read()
        return self

    def start(self, n_jobs: int, limit: int) -> int:
        """The process group of a run that is held at so many records."""
        self.process.stdin.write(f"{n_jobs} {limit}\n")
        self.process.stdin.flush()
        self.child = int(self.process.stdout.readline())
        return self.child

    def wait(self) -> int:
        """The wait status: 0, or the signal that ended the run."""
        return int(self.process.stdout.readline())

    def __exit__(self, *_):
        kill_group(self.child)  # after a failure it may still run
        self.process.stdin.close()
        self.process.wait(patience())
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and process groups")
@pytest.mark.parametrize(
    ("n_jobs", "moments"),
    [(1, (("models", 0), ("models", 2), ("records", 1), ("records", 4), ("records", 5))),
     (2, (("records", 3),))],
)  # fmt: skip
def test_a_killed_run_ends_as_an_uninterrupted_one(n_jobs, moments, uninterrupted, tmp_path, monkeypatch):
    """SIGKILL to the whole process group, a random moment after so many models or records exist."""
    folder, cache, rng = tmp_path / "records", tmp_path / "cache", random.Random(n_jobs)
    monkeypatch.setenv("LFSSD_CACHE", str(cache))
    where = {"models": lambda: cache.glob("models/*.safetensors"), "records": lambda: folder.glob("*.json")}
    finished = {}
    with Attempts(tmp_path, RUNS, folder) as attempts:
        for what, count in moments:
            pid = attempts.start(n_jobs, limit=len(RUNS) - 2)  # it cannot come to its end before the kill
            wait_until(
                lambda what=what, count=count: sum(1 for _ in where[what]()) >= count,
                f"there are {count} {what}", lambda pid=pid: running([pid]),
            )  # fmt: skip
            time.sleep(rng.uniform(0, 0.05 if count else 1))
            kill_group(pid)
            assert attempts.wait() == signal.SIGKILL
            for path in where["records"]():
                json.loads(path.read_text())
            for path in where["models"]():
                files.load(path)
            now = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in where["records"]()}
            assert finished.items() <= now.items() and now.keys() <= names(RUNS)
            finished = now
        assert 3 <= len(finished) < len(RUNS)
        attempts.start(n_jobs, limit=len(RUNS))
        assert attempts.wait() == 0
    after = state(folder)
    assert finished.items() <= after.items()
    assert {name for name in after if name.endswith(".json")} == names(RUNS)
    assert_same_table(records.load(folder, RUNS), uninterrupted)


def test_the_names_of_records_have_not_changed():
    """As of the first records (commit 7ccaa53 and before): what exists must be found again."""
    plain = Case("digits", Architecture("resnet18", 8), "class", "3", 0)
    recipe = Recipe(10, 1e-3, 64, 0.05, "adamw")
    full = Case(
        "cifar20", Architecture("vit", size="tiny"), "subclass", "40", 1, (0, 1, 2), 10_000, recipe, "cuda"
    )
    found = (
        Run(plain, "lfssd").key, Run(full, "ssd", "published", {"alpha": 10.0}, True).key,
        sweep_cases.Sweep(plain, (0.4,)).key,
    )  # fmt: skip
    assert found == ("df09c9980b553d96a38b", "31bd94b100aee214e462", "b60ad0c83b93b3c8fe08")
