"""Several processes share the work of the importances, and a failure of one ends the job."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from patience import patience, running, wait_until

import lfssd_nb
from lfssd_nb import cli, networks
from lfssd_nb.dampening import dampen
from lfssd_nb.importance import Importance, empty, fisher, sensitivity
from lfssd_nb.lab import multiprocess

OPTIONS = {
    "sample": dict(batch_size=8),
    "batch": dict(reduction="batch", batch_size=8),
    "filtered": dict(batch_size=8, parameters=["layer4.*", "fc.*"]),
}
SIZES = {"many": 45, "one": 1, "one batch": 5}  # of "one" and "one batch" a rank gets nothing
START = """
import json, os, signal, sys, time
from datetime import timedelta
from pathlib import Path
import torch
from lfssd_nb import data, networks
from lfssd_nb.lab.multiprocess import all_reduced, process_group, same_model, shard, spread, together
from lfssd_nb.importance import fisher, sensitivity

out = Path(sys.argv[1])
digits = data.load("digits", device="cpu")
model = networks.build(networks.Architecture("resnet18", width=4), digits).eval()
x, y = digits.train_x[:45], digits.train_y[:45]
"""


def torchrun(*program: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of two processes; a hang fails the test."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", *program]
    environment = os.environ | {"PYTHONPATH": str(Path(lfssd_nb.__file__).parent.parent)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as job:
        try:
            stdout, stderr = job.communicate(timeout=patience())
        except subprocess.TimeoutExpired:
            job.terminate()  # torchrun ends its processes with it
            pytest.fail(f"the job hangs: {job.communicate()[1]}")
    return job.returncode, stdout, stderr


TOGETHER = """
(out / f"pid {os.environ['RANK']}").write_text(str(os.getpid()))
while len(list(out.glob("pid *"))) < 2:
    time.sleep(0.05)
"""


@pytest.fixture
def script(tmp_path):
    """``script(text)`` runs it on two ranks that start at the same time: exit code and stderr. Fails if the
    job leaves a process behind."""

    def run(text: str) -> tuple[int, str]:
        path = tmp_path / "script.py"
        path.write_text(START + TOGETHER + text)
        code, _, stderr = torchrun(str(path), str(tmp_path))
        pids = [int(each.read_text()) for each in tmp_path.glob("pid *")]
        assert len(pids) == 2, stderr
        wait_until(lambda: not running(pids), "both ranks are gone")
        return code, stderr

    return run


SHARED = """
def outcome(work):
    try:
        work()
        return "fine"
    except Exception as error:
        return f"{type(error).__name__}: {error}"

options, sizes = json.loads(sys.argv[2]), json.loads(sys.argv[3])
told = {}
with process_group() as rank:
    for how, o in options.items():
        for size, n in sizes.items():
            for name, found in (("sensitivity", spread(sensitivity, model, x[:n], **o)),
                                ("fisher", spread(fisher, model, x[:n], y[:n], **o))):
                found.save(out / f"{name} {how} {size} {rank}.safetensors")
    told["share"] = [shard(45).start, shard(45).stop, shard(45, 8).start, shard(45, 8).stop]
    told["nothing"] = outcome(lambda: spread(sensitivity, model, x[:0]))
    broken = x.clone()
    broken[-1] = float("nan")
    told["nan"] = outcome(lambda: spread(sensitivity, model, broken))
    told["loader"] = outcome(lambda: spread(sensitivity, model, [x]))
    told["lengths"] = outcome(lambda: spread(sensitivity, model, x[: 45 - rank]))
    estimate = fisher if rank else sensitivity
    told["kinds"] = outcome(lambda: all_reduced(estimate(model, x[:4], *([y[:4]] if rank else []))))
    other = networks.build(networks.Architecture("resnet18", width=4), digits, seed=rank)
    told["models"] = outcome(lambda: spread(sensitivity, other, x))
    told["same model"] = outcome(lambda: spread(sensitivity, same_model(other), x))
    told["weights"] = float(other.fc.weight.detach().double().sum())
(out / f"{rank}.json").write_text(json.dumps(told))
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """What two ranks computed, and what each of them was told."""
    out = tmp_path_factory.mktemp("shared")
    (out / "script.py").write_text(START + SHARED)
    code, _, stderr = torchrun(str(out / "script.py"), str(out), json.dumps(OPTIONS), json.dumps(SIZES))
    assert code == 0, stderr
    return out, [json.loads((out / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.fixture(scope="module")
def net(digits):
    return networks.build(networks.Architecture("resnet18", width=4), digits).eval()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", OPTIONS)
@pytest.mark.parametrize("name", ["sensitivity", "fisher"])
def test_two_processes_find_what_one_finds(shared, net, digits, name, how, size):
    """To 1e-6 of a tensor's largest entry: the order of float32 additions is all that differs."""
    n = SIZES[size]
    columns = [digits.train_x[:n]] if name == "sensitivity" else [digits.train_x[:n], digits.train_y[:n]]
    alone = dict(sensitivity=sensitivity, fisher=fisher)[name](net, *columns, **OPTIONS[how])
    mine, other = (Importance.load(shared[0] / f"{name} {how} {size} {r}.safetensors") for r in (0, 1))
    assert (mine.count, mine.samples, mine.estimator, mine.reduction) == (
        alone.count, alone.samples, alone.estimator, alone.reduction,
    )  # fmt: skip
    assert mine.sums.keys() == alone.sums.keys() and (other.count, other.samples) == (alone.count, n)
    for key, value in alone.sums.items():
        assert torch.equal(mine.sums[key], other.sums[key])
        assert float((mine.sums[key] - value).abs().max()) <= 1e-6 * float(value.max())


def test_the_shares_cover_everything_in_whole_batches(shared):
    assert [told["share"] for told in shared[1]] == [[0, 22, 0, 24], [22, 45, 24, 45]]


def test_a_failure_on_one_rank_is_a_failure_on_all(shared):
    first, second = (told["nan"] for told in shared[1])
    assert second.startswith("ValueError: sensitivity importance of parameter 'conv1.weight' has ")
    assert first == f"RankFailed: rank 1 failed: {second}"


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("nothing", "ValueError: there are no samples"),
        ("loader", "ValueError: spread takes tensors: .*all_reduced"),
        ("lengths", "ValueError: rank 1 has 44 samples .*rank 0 45"),
        ("kinds", "ValueError: rank 1 has the fisher per sample of 62 parameters, rank 0 the sensitivity"),
        ("models", "ValueError: rank 1 has 45 samples and weights of norm .*same_model"),
        ("same model", "fine"),
    ],
)
def test_what_does_not_fit_is_refused_on_every_rank(shared, what, message):
    for told in shared[1]:
        assert re.match(message, told[what]), told[what]


def test_same_model_is_that_of_rank_0(shared, net):
    assert {told["weights"] for told in shared[1]} == {float(net.fc.weight.detach().double().sum())}


def test_an_error_that_leaves_the_block_ends_the_job(script):
    """The other rank would wait for years: that the job ends at all is torchrun's doing."""
    code, stderr = script("""
with process_group(timedelta(days=1000)) as rank:
    if rank == 1:
        raise ValueError("rank one has lost its disk")
    all_reduced(sensitivity(model, x))
""")
    assert code != 0 and "ValueError: rank one has lost its disk" in stderr


def test_a_rank_that_never_comes_is_given_up(script):
    """It waits for a signal, and gets one when the other rank has given it up."""
    code, stderr = script(f"""
with process_group(timedelta(seconds={patience(10)})) as rank:
    if rank == 1:
        signal.pause()
    all_reduced(sensitivity(model, x))
""")
    assert code != 0 and "RankFailed: no answer from the other ranks (" in stderr


def test_the_command_line_under_torchrun(tmp_path, monkeypatch, capsys):
    """Rank 0 alone trains and prints; all numbers are those of one process."""
    monkeypatch.setenv("LFSSD_CACHE", str(tmp_path))
    options = "--subset 300 --width 8 --epochs 2 --device cpu --alpha 3"
    arguments = ["forget", *options.split()]
    code, stdout, stderr = torchrun("-m", "lfssd_nb.cli", *arguments)
    assert code == 0, stderr
    shared = json.loads(stdout)
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "models").iterdir()}
    assert len(written) == 2 and cli.main(arguments) == 0
    alone = json.loads(capsys.readouterr().out)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "models").iterdir()} == written
    assert shared.pop("seconds") and alone.pop("seconds")
    for key in ("selected_share", "largest_ratio"):  # a weight on the edge may fall to either side
        assert shared.pop(key) == pytest.approx(alone.pop(key), rel=1e-3)
    assert shared == alone


# ---- without torchrun


@pytest.mark.parametrize("ranks", [1, 2, 3, 7])
@pytest.mark.parametrize("n", [0, 1, 5, 64, 100])
@pytest.mark.parametrize("batch_size", [None, 1, 8, 200])
def test_shares_are_disjoint_even_and_of_whole_batches(monkeypatch, ranks, n, batch_size):
    found, sizes = [], []
    for rank in range(ranks):
        monkeypatch.setattr(multiprocess, "ranks", lambda rank=rank: (rank, ranks))
        share = range(n)[multiprocess.shard(n, batch_size)]
        assert not share or share.start % (batch_size or 1) == 0
        found += share
        sizes.append(-(-len(share) // (batch_size or 1)))
    assert found == list(range(n)) and max(sizes) - min(sizes) <= 1


def test_one_process_is_the_ordinary_case(tiny, digits):
    x = digits.train_x[:9]
    with multiprocess.process_group() as rank:
        found = multiprocess.spread(sensitivity, tiny, x)
        assert rank == 0 and multiprocess.ranks() == (0, 1) and multiprocess.shard(9) == slice(0, 9)
    alone = sensitivity(tiny, x)
    assert all(torch.equal(v, alone.sums[k]) for k, v in multiprocess.all_reduced(found).sums.items())


def test_an_empty_importance_adds_nothing(tiny, digits):
    found = sensitivity(tiny, digits.train_x[:9])
    total = found + empty(tiny)
    assert (total.count, total.samples) == (9, 9)
    assert all(torch.equal(v, found.sums[k]) for k, v in total.sums.items())
    with pytest.raises(ValueError, match="NaN"):
        dampen(tiny, empty(tiny), found, 2)
