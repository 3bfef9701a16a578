"""What the tests share: temporary folders, small data, a tiny network, a missing network."""

import copy
import json
import os
import socket

import numpy as np
import pytest
import torch
from torch import nn

from lfssd_nb import data


@pytest.fixture(scope="session", autouse=True)
def surroundings(tmp_path_factory):
    """No progress bars, and trained models in a temporary folder (or ``$LFSSD_TEST_CACHE``)."""
    cache = os.environ.get("LFSSD_TEST_CACHE") or tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LFSSD_PROGRESS", "off")
        patch.setenv("LFSSD_CACHE", str(cache))
        yield


PAGES = os.environ.get("LFSSD_CACHE")  # before `surroundings`: in ``make test``, that of the notebooks


@pytest.fixture
def cache_of_pages(surroundings):
    """The model cache of the notebooks, where there is one: what both train is trained once. For tests that
    neither replace the training nor count the files."""
    with pytest.MonkeyPatch.context() as patch:
        if PAGES:
            patch.setenv("LFSSD_CACHE", PAGES)
        yield


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """An empty model cache for one test."""
    monkeypatch.setenv("LFSSD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def digits():
    return data.load("digits", device="cpu")


@pytest.fixture(scope="session")
def few(digits):
    """100 digits: a training epoch takes a moment."""
    return digits.subset(100)


@pytest.fixture(scope="session")
def small(digits, tmp_path_factory):
    """A data root whose "cifar10" is 100 digits, with room for a model cache. (No patch reaches other
    processes, but the environment does.)"""
    root, few = tmp_path_factory.mktemp("small"), digits.subset(100)
    arrays = {}
    for split in ("train", "test"):
        x, y = (getattr(few, f"{split}_{k}") for k in "xy")
        arrays[f"{split}_images"] = (255 * few.images(x)).round().to(torch.uint8).numpy()
        arrays[f"{split}_label"] = y.numpy()
    np.savez(root / "cifar10.npz", names=json.dumps({"label": list(few.classes)}), **arrays)
    return root


@pytest.fixture(scope="session")
def tiny():
    """Convolution, batch norm with statistics that matter, linear: digits to 10 logits, in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(128, 10),
        )
        norm = model[1]
        for values in (norm.weight.data, norm.running_var):
            values.uniform_(0.5, 2)
        for values in (norm.bias.data, norm.running_mean):
            values.normal_()
    return model.eval()


@pytest.fixture
def model(tiny):
    """A copy of ``tiny`` to be changed at will, some of its modules in train mode."""
    model = copy.deepcopy(tiny).train()
    model[1].eval()
    return model


@pytest.fixture
def no_network(tmp_path, monkeypatch):
    """Every connection and name look-up fails, so that a download raises ``URLError``."""

    def refuse(*_, **__):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("time.sleep", lambda _: None)  # scikit-learn waits before it tries again
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def prepare(tmp_path):
    """``prepare("cifar10", **changes)`` writes a small .npz of random images into ``tmp_path``, in the
    format that `downloads` describes, and returns its arrays; a change of None leaves an array out."""

    def write(name: str, save=np.savez, **changes) -> dict:
        rng = np.random.default_rng(0)
        sizes = {"train": 200, "test": 100}
        arrays = {f"{k}_images": rng.integers(0, 256, (n, 32, 32, 3), np.uint8) for k, n in sizes.items()}
        if name == "cifar10":
            arrays |= {f"{k}_label": rng.permutation(n) % 10 for k, n in sizes.items()}
            names = {"label": [f"class {k}" for k in range(10)]}
        else:
            parents = rng.permutation(100) // 5
            for k, n in sizes.items():
                arrays[f"{k}_fine"] = rng.permutation(n) % 100
                arrays[f"{k}_coarse"] = parents[arrays[f"{k}_fine"]]
            names = {"fine": [f"fine {k}" for k in range(100)], "coarse": [f"coarse {k}" for k in range(20)]}
        arrays |= {"names": json.dumps(names), "source": "random images of a test"} | changes
        save(tmp_path / f"{name}.npz", **{k: v for k, v in arrays.items() if v is not None})
        return arrays

    return write
