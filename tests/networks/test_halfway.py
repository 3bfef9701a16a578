"""A training that was interrupted ends in the same bits as one that was not."""

import random
import signal
import subprocess
import sys
import time

import pytest
import torch
from killing import kill_group
from patience import wait_until

from lfssd_nb.data.augment import Augmentation
from lfssd_nb.networks import resume, training
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.recipes import Recipe

MOVED = Augmentation(shift=1)  # random numbers that have to go on where they stood
SGD = Architecture("resnet18", 16), Recipe(5, batch_size=32, augmentation=MOVED)
ADAMW = Architecture("vit"), Recipe(5, 3e-3, 32, 0.05, "adamw", augmentation=MOVED)


def weights(net, recipe, few) -> dict:
    return training.trained(few, net, recipe, show=False).state_dict()


def halves(folder) -> list:
    return [*folder.rglob("*.halfway")]


@pytest.fixture
def interrupting(monkeypatch):
    """Ctrl-C in the middle of the third of five epochs (of four batches), where copies are made at once."""
    calls, real = [], training.augment

    def augment(*args):
        calls.append(1)
        if len(calls) == 10:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(resume, "EVERY", 0.0)
    monkeypatch.setattr(training, "augment", augment)
    return calls


@pytest.mark.parametrize(("net", "recipe"), [SGD, ADAMW], ids=["sgd", "adamw"])
def test_an_interrupted_training_goes_on_to_the_same_bits(
    net, recipe, few, own_cache, interrupting, monkeypatch
):
    with pytest.raises(KeyboardInterrupt):
        weights(net, recipe, few)
    (copy,) = halves(own_cache)
    spent = training.files.load(copy)[1]["seconds"]
    found = weights(net, recipe, few)
    assert len(interrupting) == 10 + 3 * 4  # the last three epochs, and no more
    assert not halves(own_cache) and training.training_seconds(few, net, recipe) > spent > 0
    monkeypatch.undo()
    whole = training.networks.build(net, few)
    training.fit(whole, few.train_x, few.train_y, recipe, 0, show=False)
    assert all(torch.equal(value, found[name]) for name, value in whole.state_dict().items())


def test_a_damaged_copy_is_no_copy(few, own_cache, interrupting):
    net, recipe = SGD
    with pytest.raises(KeyboardInterrupt):
        weights(net, recipe, few)
    (copy,) = halves(own_cache)
    raw = bytearray(copy.read_bytes())
    raw[-100] ^= 1
    copy.write_bytes(raw)
    found = weights(net, recipe, few)
    assert len(interrupting) == 10 + 5 * 4 and not halves(own_cache)
    whole = training.networks.build(net, few)
    training.fit(whole, few.train_x, few.train_y, recipe, 0, show=False)
    assert all(torch.equal(value, found[name]) for name, value in whole.state_dict().items())


def test_a_copy_that_somebody_left_behind_goes_with_the_next_look(few, own_cache):
    weights(SGD[0], Recipe(1), few)
    (path,) = own_cache.rglob("*.safetensors")
    path.with_suffix(".halfway").write_bytes(b"")
    weights(SGD[0], Recipe(1), few)
    assert not halves(own_cache)


def test_a_short_training_leaves_no_copy_and_a_full_disk_stops_none(few, own_cache, monkeypatch):
    kept = []
    monkeypatch.setattr(resume.files, "save", lambda path, *_: kept.append(path.suffix))
    weights(SGD[0], Recipe(2), few)
    assert kept == [".safetensors"]

    def full(path, *_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(resume, "EVERY", 0.0)
    monkeypatch.setattr(resume.files, "save", full)
    with pytest.warns(UserWarning, match="was not cached"):
        weights(SGD[0], Recipe(2), few)


PROGRAM = """
from lfssd_nb import data
from lfssd_nb.networks import resume, training
from lfssd_nb.data.augment import Augmentation
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.recipes import Recipe
resume.EVERY = 0.0
few = data.load("digits", device="cpu").subset(100)
recipe = Recipe(2000, 0.01, 32, augmentation=Augmentation(1))
training.trained(few, Architecture("resnet18", 16), recipe, show=False)
"""


def test_after_a_kill_it_goes_on(few, own_cache, monkeypatch):
    """Of 2000 epochs some are done when SIGKILL comes; what is left counts on from there."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], start_new_session=True)
    wait_until(lambda: halves(own_cache), "there is a copy", lambda: process.poll() is None)
    kill_group(process.pid)
    assert process.wait() == -signal.SIGKILL
    (copy,) = halves(own_cache)
    _, about = training.files.load(copy)
    assert 0 < about["epochs"] < 2000

    class Enough(Exception):
        pass

    def count(epochs, *_):
        raise Enough(epochs.start)

    monkeypatch.setattr(training, "progress", count)
    recipe = Recipe(2000, 0.01, 32, augmentation=Augmentation(1))
    with pytest.raises(Enough, match=rf"^{about['epochs']}$"):
        weights(SGD[0], recipe, few)


def test_three_kills_at_random_moments_leave_the_weights_of_none(few, own_cache):
    """Each try is killed a random moment after it has written a copy, wherever in an epoch it then is."""
    program = PROGRAM.replace("2000", "45")
    moments, last = random.Random(0), None
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)

        def further(last=last) -> bool:
            return any(path.stat().st_mtime_ns != last for path in halves(own_cache))

        wait_until(further, "there is a newer copy", lambda p=process: p.poll() is None)
        time.sleep(moments.uniform(0, 0.2))
        kill_group(process.pid)
        assert process.wait() == -signal.SIGKILL
        (copy,) = halves(own_cache)
        last = copy.stat().st_mtime_ns
    assert 0 < training.files.load(copy)[1]["epochs"] < 45
    recipe = Recipe(45, 0.01, 32, augmentation=Augmentation(1))
    found = weights(SGD[0], recipe, few)
    whole = training.networks.build(SGD[0], few)
    training.fit(whole, few.train_x, few.train_y, recipe, 0, show=False)
    assert all(torch.equal(value, found[name]) for name, value in whole.state_dict().items())
    assert not halves(own_cache)
