"""Surnames and smartwatch recordings: splits without leaks, labels, and a file that cannot run programs."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from lfssd_nb.data import arrays_only
from lfssd_nb.data import smartwatch as recordings
from lfssd_nb.data import surnames as lists
from lfssd_nb.networks.conv1d import Conv1dClassifier
from lfssd_nb.networks.gru import GRUClassifier
from lfssd_nb.networks.transformer import TokenTransformer

SPLITS = ("train", "test")


@pytest.fixture(scope="module")
def surnames():
    pytest.importorskip("faker")
    return lists.names()


@pytest.fixture(scope="module")
def raw():
    pytest.importorskip("seglearn")
    return recordings.read(recordings._file())


@pytest.fixture(scope="module")
def series(raw):
    return recordings.watch()


def texts(data, split):
    return ["".join(data["alphabet"][t] for t in row) for row in data[f"{split}_x"]]


# ---- surnames


def test_no_name_is_in_both_sets_or_twice_in_one(surnames):
    train, test = (texts(surnames, split) for split in SPLITS)
    assert not set(train) & set(test)
    assert len(set(train)) == len(train) and len(set(test)) == len(test)


def test_names_are_normalised_and_padded_at_the_end_only(surnames):
    for split in SPLITS:
        x = surnames[f"{split}_x"]
        assert (x.dtype, x.shape[1]) == (np.int64, lists.LENGTH)
        assert ((x == 0) == (np.arange(x.shape[1]) >= (x != 0).sum(1, keepdims=True))).all()
        assert (x[:, 0] > 0).all() and x.max() < len(surnames["alphabet"])
        assert all(lists.normalise(text) == text for text in texts(surnames, split))


def test_every_language_has_its_share_in_both_sets_and_a_sibling(surnames):
    train, test = (np.bincount(surnames[f"{s}_y"], minlength=len(surnames["classes"])) for s in SPLITS)
    assert (abs(test - lists.TEST_SHARE * (train + test)) <= 1).all()
    assert (train + test).max() <= lists.MOST and test.min() >= 50
    assert np.bincount(surnames["parents"], minlength=len(surnames["superclasses"])).min() >= 2


def test_the_names_of_two_languages_and_odd_ones_are_dropped():
    given = [["Adam", "ÉMILE", "E\u0301mile", "D\u2019Arc"], ["adam", "Zwei  Worte", "x" * 17, "Gent, van"]]
    assert lists._select(given) == (["d'arc", "émile", "zwei worte"], [0, 0, 1])


def test_the_cap_keeps_every_initial(monkeypatch):
    monkeypatch.setattr(lists, "MOST", 5)
    kept, labels = lists._select([[f"{letter}{end}" for letter in "abcde" for end in "xyz"]])
    assert [name[0] for name in kept] == list("abcde") and labels == [0] * 5


def test_names_without_faker_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "faker", None)
    with pytest.raises(ImportError, match="pip install faker"):
        lists.names()


def test_an_unknown_list_names_the_version(monkeypatch):
    pytest.importorskip("faker")
    monkeypatch.setitem(lists.LISTS, "German", ("Germanic", ("xx_XX", "last_names")))
    with pytest.raises(ValueError, match=r"faker \d.* no list xx_XX.last_names.*pip install -U"):
        lists.names()


@pytest.mark.parametrize(("module", "function"), [("surnames", "names"), ("smartwatch", "watch")])
def test_another_process_with_another_hash_seed_gives_the_same(module, function):
    pytest.importorskip({"names": "faker", "watch": "seglearn"}[function])
    code = (
        f"import hashlib; from lfssd_nb.data import {module} as m; d = m.{function}(); h = hashlib.sha256()\n"
        "for k in sorted(d): h.update(d[k].tobytes() if hasattr(d[k], 'tobytes') else repr(d[k]).encode())\n"
        "import sys; print(h.hexdigest(), 'seglearn' in sys.modules)"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert found[0] == found[1] and found[0].endswith("False\n")  # seglearn was not imported


# ---- recordings


@pytest.mark.parametrize("n", [400, 401, 947, 1612, 2618])
def test_no_sample_is_in_a_training_and_a_test_window(n):
    recording = np.arange(n * 6, dtype=float).reshape(n, 6)  # every value is there once
    train, test = (recordings.windows(recording, recordings.starts(n, split)) for split in SPLITS)
    assert train.shape[1:] == test.shape[1:] == (6, recordings.LENGTH) and len(train) and len(test)
    assert train.max() < test.min()
    assert len(np.unique(test)) == test.size  # test windows do not even overlap each other
    assert (train[1:, :, : recordings.LENGTH // 2] == train[:-1, :, recordings.LENGTH // 2 :]).all()
    assert (recording[: recordings.LENGTH] == train[0].T).all()


def test_every_class_side_subject_and_pair_is_in_both_sets(series):
    for split in SPLITS:
        y, sub, group = (series[f"{split}_{key}"] for key in ("y", "sub", "group"))
        assert y.dtype == sub.dtype == group.dtype == np.int64
        assert len(y) == len(sub) == len(group) == len(series[f"{split}_x"])
        assert len({*zip(sub.tolist(), group.tolist(), strict=True)}) == 14 * 10  # every single recording
        assert (np.array(series["parents_of_sub"])[sub] == y).all()
    counts = {key: len(series[key]) for key in ("classes", "subclasses", "groups", "axes")}
    assert counts == {"classes": 7, "subclasses": 14, "groups": 10, "axes": 6}


def test_the_training_set_gives_mean_and_deviation_and_they_undo_it(series, raw):
    x = series["train_x"].astype(float)
    assert x.dtype == float and series["train_x"].dtype == series["test_x"].dtype == np.float32
    assert abs(x.mean((0, 2))).max() < 1e-5 and abs(x.std((0, 2)) - 1).max() < 1e-5
    first = x[0] * series["std"][0] + series["mean"][0]
    assert np.allclose(first.T, raw["X"][0][: recordings.LENGTH], atol=1e-5)


def test_labels_belong_to_their_recordings(series, raw):
    first = 0
    for recording, y, side, subject in zip(raw["X"], raw["y"], raw["side"], raw["subject"], strict=True):
        k = series["train_sub"][first]
        assert series["subclasses"][k] == f"{raw['y_labels'][y]} {'right' if side else 'left'}"
        assert series["groups"][series["train_group"][first]] == f"subject {subject}"
        first += len(recordings.starts(len(recording), "train"))
    assert first == len(series["train_x"])


# ---- the file


class Planted:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def saved(path, content):
    np.save(path, np.array(content, dtype=object), allow_pickle=True)
    return path


def artificial(**changes):
    content = dict(
        X=[np.random.default_rng(k).normal(size=(500 + k, 6)) for k in range(2)],
        X_labels=list("abcdef"),
        y=np.array([0, 1]),
        y_labels=["A", "B"],
        side=np.array([0.0, 1.0]),
        subject=np.array([1, 2]),
    )
    return content | changes


def test_a_planted_program_is_refused_by_name_and_not_run(tmp_path):
    marker = tmp_path / "run"
    path = saved(tmp_path / "watch.npy", artificial(extra=Planted(marker)))
    with pytest.raises(ValueError, match=r"refused (posix|nt)\.system"):
        recordings.read(path)
    assert not marker.exists()
    with path.open("rb") as file:  # it would have run, had it been read like any pickle
        np.load(file, allow_pickle=True)
    assert marker.exists()


@pytest.mark.parametrize(
    "name", ["builtins.eval", "numpy.load", "codecs.encode", "numpy.core.multiarray.scalar"]
)
def test_other_names_are_refused(name):
    with pytest.raises(pickle.UnpicklingError, match=f"refused {name}"):
        arrays_only.ArraysOnly(open(os.devnull, "rb")).find_class(*name.rsplit(".", 1))  # noqa: SIM115


def test_an_artificial_file_is_read_as_numpy_reads_it(tmp_path):
    content = artificial()
    found = recordings.read(saved(tmp_path / "watch.npy", content))
    assert all((a == b).all() for a, b in zip(found["X"], content["X"], strict=True))
    assert found["y_labels"] == content["y_labels"]


@pytest.mark.parametrize(
    "changes",
    [
        {"y": np.array([0])},
        {"y": np.array([0, 2])},
        {"side": np.array([0.0, 2.0])},
        {"X": [np.zeros((500, 5))] * 2},
        {"X": [np.zeros((399, 6))] * 2},
        {"X": [np.full((500, 6), np.nan)] * 2},
        {"X": []},
        {"X_labels": None},
    ],
)
def test_unexpected_content_is_a_value_error(tmp_path, changes):
    path = saved(tmp_path / "watch.npy", artificial(**changes))
    with pytest.raises(ValueError, match=r"watch\.npy is not seglearn's watch data.*pip install"):
        recordings.read(path)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array at all"])
def test_a_damaged_file_is_a_value_error(tmp_path, content):
    path = tmp_path / "watch.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="pip install"):
        recordings.read(path)


def test_a_missing_key_is_named(tmp_path):
    content = artificial()
    del content["side"]
    with pytest.raises(ValueError, match="side"):
        recordings.read(saved(tmp_path / "watch.npy", content))


def test_watch_without_seglearn_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "seglearn", None)
    with pytest.raises(FileNotFoundError, match="pip install seglearn"):
        recordings.watch()


# ---- the networks


def tokens(n=5, length=9):
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(1, 20, (n, length), generator=generator)
    return x * (torch.arange(length) < torch.tensor([1, 3, 9, 4, 6])[:n, None])


def network(kind):
    torch.manual_seed(0)
    if kind == "conv1d":
        return Conv1dClassifier(4, 6, width=8), torch.randn(5, 6, 40)
    model = GRUClassifier(4, 20) if kind == "gru" else TokenTransformer(4, 20, length=12)
    return model, tokens()


KINDS = ("gru", "conv1d", "transformer")


@pytest.mark.parametrize("kind", KINDS)
def test_samples_do_not_mix_in_eval_mode(kind):
    model, x = network(kind)
    together = model.eval()(x)
    assert together.shape == (5, 4) and isinstance(model.head, torch.nn.Linear)
    torch.testing.assert_close(torch.cat([model(one[None]) for one in x]), together)
    with torch.no_grad():
        torch.testing.assert_close(model(x), together)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:There is a performance drop.*aten..nll_loss")  # of torch under python -O
@pytest.mark.filterwarnings("error")
def test_vmap_of_grad_gives_the_gradients_of_single_samples(kind):
    model, x = network(kind)
    model.eval()
    y = torch.arange(5) % 4
    theta = {k: p.detach() for k, p in model.named_parameters()}

    def loss(theta, x, y):
        return cross_entropy(functional_call(model, theta, (x[None],)), y[None])

    found = vmap(grad(loss), (None, 0, 0))(theta, x, y)
    for n in range(5):
        model.zero_grad()
        cross_entropy(model(x[n : n + 1]), y[n : n + 1]).backward()
        for name, p in model.named_parameters():
            torch.testing.assert_close(found[name][n], p.grad)


@pytest.mark.parametrize("kind", ["gru", "transformer"])
def test_more_padding_changes_nothing(kind):
    model, x = network(kind)
    longer = torch.cat([x, torch.zeros(5, 3, dtype=torch.int64)], 1)
    torch.testing.assert_close(model.eval()(longer), model(x))


def test_the_gru_is_torchs():
    model, x = network("gru")
    reference = torch.nn.GRU(32, 64, batch_first=True)
    for name, layer in (("ih", model.inputs), ("hh", model.recurrent)):
        getattr(reference, f"weight_{name}_l0").data = layer.weight.data
        getattr(reference, f"bias_{name}_l0").data = layer.bias.data
    states = reference(model.embedding(x))[0]
    torch.testing.assert_close(model(x), model.head(states[torch.arange(5), (x != 0).sum(1) - 1]))
