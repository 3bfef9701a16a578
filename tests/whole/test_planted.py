"""A file planted at each place from which the package reads: no code of it runs, and the message names it."""

import io
import json
import pickle
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from torch import nn

from lfssd_nb import data, lab, networks
from lfssd_nb.data import downloads, smartwatch
from lfssd_nb.importance import Importance
from lfssd_nb.networks import checkpoints, resume, training
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.recipes import Recipe
from lfssd_nb.system import files

NET, SHORT = Architecture("mlp", 8), Recipe(epochs=2)


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.fixture
def payload(tmp_path):
    """Something to plant. It would run, as the first lines try, and has not when the test is over."""
    marker = tmp_path / "it ran"
    pickle.loads(pickle.dumps(Payload(marker)))
    marker.unlink()
    yield Payload(marker)
    assert not marker.exists()


def refused(path: Path, *said: str, error=ValueError):
    """A message with the place and the remedy."""
    return pytest.raises(error, match=f"(?s){'.*'.join((re.escape(str(path)), *said))}")


# ---- the data root


@pytest.mark.parametrize("key", ["train_images", "names", "source", "train_label"])
def test_objects_in_an_npz(payload, prepare, tmp_path, key):
    prepare("cifar10", **{key: np.array([payload], object)})
    with refused(tmp_path / "cifar10.npz", "allow_pickle=False", "delete it"):
        data.load("cifar10", tmp_path, "cpu")


def test_a_pickle_called_npz(payload, tmp_path):
    path = tmp_path / "cifar100.npz"
    path.write_bytes(pickle.dumps(payload))
    with refused(path, "is damaged", "delete it"):
        data.load("cifar100", tmp_path, "cpu")


@pytest.mark.parametrize("what", ["payload", "a list with it", "an array with it"])
@pytest.mark.parametrize("compress", [0, 6])
def test_the_faces_of_scikit_learn(payload, tmp_path, what, compress):
    path = tmp_path / "sklearn" / "olivetti_py3.pkz"
    path.parent.mkdir()
    of = {"payload": payload, "a list with it": [payload], "an array with it": np.array([payload], object)}
    joblib.dump(of[what], path, compress=compress)
    with refused(path, "not one array of numbers", "delete it"):
        data.load("olivetti", tmp_path, "cpu")
    assert not (tmp_path / "olivetti.npz").exists()


def test_a_download_of_faces_reads_nothing_that_lies_there(payload, tmp_path, monkeypatch):
    folders = []

    def fetch(data_home):
        folders.append(Path(data_home))
        assert not [*Path(data_home).iterdir()]
        raise OSError("no network")

    monkeypatch.setattr("sklearn.datasets.fetch_olivetti_faces", fetch)
    with pytest.raises(ConnectionError, match=r"put a ready olivetti\.npz into"):
        data.load("olivetti", tmp_path, "cpu")
    assert folders and not folders[0].exists() and not folders[0].is_relative_to(tmp_path)


@pytest.mark.filterwarnings("ignore:Retry downloading")
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
@pytest.mark.parametrize("place", ["archive", "folder"])
def test_downloads_of_cifar(payload, tmp_path, no_network, name, place):
    """torchvision unpacks and reads what has the published checksum alone."""
    from torchvision import datasets

    kind = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    raw, root = pickle.dumps(payload), tmp_path / "downloads"
    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    names = [each for each, _ in (*kind.train_list, *kind.test_list)] + [kind.meta["filename"]]
    for each in names:
        (folder / each).write_bytes(raw)
    if place == "archive":
        with tarfile.open(root / kind.filename, "w:gz") as archive:
            archive.add(folder, kind.base_folder)
        shutil.rmtree(folder)
    with pytest.raises(ConnectionError, match=rf"{name} could not be downloaded .*ready {name}\.npz"):
        data.load(name, tmp_path, "cpu")


def test_labels_of_cifar_are_read_as_arrays_alone(payload, tmp_path):
    path = tmp_path / "meta"
    path.write_bytes(pickle.dumps({b"fine_label_names": ["apple"], b"data": np.arange(3), 1: payload}))
    with refused(path, "refused", "delete it"):
        downloads.read_pickle(path)
    path.write_bytes(pickle.dumps({"fine_labels": [1, 2], "data": np.arange(3, dtype=np.uint8)}, 2))
    assert downloads.read_pickle(path)["data"].tolist() == [0, 1, 2]


def test_the_recordings_of_the_smartwatch(payload, tmp_path):
    path = tmp_path / "watch_dataset.npy"
    np.save(path, np.array({"X": payload}, dtype=object), allow_pickle=True)
    with refused(path, "refused", "pip install --force-reinstall"):
        smartwatch.read(path)


@pytest.mark.parametrize("name", ["x.png", "x.jpg"])
@pytest.mark.parametrize("wing", ["pins", "folder"])
def test_a_folder_of_pictures(payload, tmp_path, name, wing):
    path = tmp_path / "pins" / "Ann" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(payload))
    with refused(path, "cannot be read as an image", "remove or replace it"):
        data.load("pins", tmp_path, "cpu") if wing == "pins" else data.Dataset.from_folder(path.parents[1])


# ---- the folder of torch.hub


def test_weights_in_the_hub(payload, tmp_path, few, no_network, monkeypatch):
    path = Path(torch.hub.get_dir()) / "checkpoints" / "vit_b_16-c867db91.pth"
    path.parent.mkdir(parents=True)
    torch.save(payload, path)
    vit = Architecture("vit", size="vit_b_16")
    with refused(path, "its SHA-256 is", "delete it"):
        networks.build(vit, few)
    with path.open("rb") as file:  # and were the checksum right, it would still be tensors alone
        digest = networks.vit.hashlib.file_digest(file, "sha256")
    monkeypatch.setattr(networks.vit.hashlib, "file_digest", lambda *_: Renamed(digest))
    with pytest.raises(
        ConnectionError, match=r"(?s)could not be downloaded or read .*connect to the network"
    ):
        networks.build(vit, few)


def test_sound_weights_are_downloaded_once_and_read(tmp_path, monkeypatch):
    wanted, asked = nn.Linear(2, 3), []

    def download(url, path, published):
        asked.append((url, published))
        torch.save(wanted.state_dict(), path)

    monkeypatch.setattr("torchvision.models.vit_b_16", lambda weights: nn.Linear(2, 3))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    real = networks.vit.hashlib.file_digest
    monkeypatch.setattr(networks.vit.hashlib, "file_digest", lambda *given: Renamed(real(*given)))
    found = [networks.vit.vit_b_16("IMAGENET1K_V1") for _ in range(2)]
    assert all(torch.equal(each.weight, wanted.weight) for each in found)
    assert asked == [("https://download.pytorch.org/models/vit_b_16-c867db91.pth", "c867db91")]


class Renamed:
    def __init__(self, digest):
        self.digest = digest

    def hexdigest(self) -> str:
        return "c867db91" + self.digest.hexdigest()[8:]


# ---- caches, records, checkpoints


def plants(payload) -> dict[str, bytes]:
    """Files that a careless reader would run: a pickle, torch's own, an archive with one."""
    torch_file, archive = io.BytesIO(), io.BytesIO()
    torch.save({"model": payload}, torch_file)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("data.pkl", pickle.dumps(payload))
    return {"pickle": pickle.dumps(payload), "torch": torch_file.getvalue(), "zip": archive.getvalue()}


KINDS = pytest.mark.parametrize("kind", ["pickle", "torch", "zip"])


@KINDS
def test_the_model_cache(payload, few, own_cache, kind):
    """What is no model of this package is trained again, as if it were not there."""
    first = training.trained(few, NET, SHORT, show=False).state_dict()
    (path,) = (own_cache / "models").iterdir()
    path.write_bytes(plants(payload)[kind])
    again = training.trained(few, NET, SHORT, show=False).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    files.load(path)


@KINDS
def test_the_copy_of_a_training_halfway(payload, few, tmp_path, kind):
    path = tmp_path / "net.halfway"
    path.write_bytes(plants(payload)[kind])
    whole, again = (networks.build(NET, few) for _ in range(2))
    training.fit(whole, few.train_x, few.train_y, SHORT, 0, show=False)
    training.fit(again, few.train_x, few.train_y, SHORT, 0, show=False, halfway=resume.Halfway(path))
    assert all(torch.equal(v, again.state_dict()[name]) for name, v in whole.state_dict().items())


@KINDS
def test_the_folder_of_records(payload, tmp_path, kind):
    run = lab.Run(
        lab.Case("digits", NET, "class", "3", 0, images=100, recipe=SHORT, gold_seeds=(1,)), "nothing"
    )
    first = lab.records.run([run], tmp_path / "records", n_jobs=1)
    for path in (tmp_path / "records").rglob("*"):
        if path.is_file():
            path.write_bytes(plants(payload)[kind])
    try:
        again = lab.records.run([run], tmp_path / "records", n_jobs=1)
    except ValueError as error:  # never as data
        assert "records" in str(error) and "damaged" in str(error)
    else:
        assert again.retain_train_acc.tolist() == first.retain_train_acc.tolist()


@KINDS
@pytest.mark.parametrize("which", ["safetensors", "json"])
def test_a_checkpoint(payload, few, tmp_path, kind, which):
    path = checkpoints.save(tmp_path / "net", networks.build(NET, few), NET, few).with_suffix(f".{which}")
    path.write_bytes(plants(payload)[kind])
    with refused(path, "is damaged", "make it again", error=files.CorruptFile):
        checkpoints.load(tmp_path / "net")


@KINDS
def test_an_importance(payload, tmp_path, kind):
    path = tmp_path / "importance.safetensors"
    path.write_bytes(plants(payload)[kind])
    with refused(path, "is damaged", "make it again", error=files.CorruptFile):
        Importance.load(path)


def test_the_names_of_classes(payload, prepare, tmp_path):
    """They are read as JSON, whatever they look like."""
    prepare("cifar10", names=json.dumps("__import__('os').abort()"))
    with refused(tmp_path / "cifar10.npz", "names is", "JSON object", "delete it"):
        data.load("cifar10", tmp_path, "cpu")


def test_surnames_come_from_the_installed_package_alone(payload, tmp_path, monkeypatch):
    """Files of their name in the data root are not looked at."""
    for name in ("names.npz", "families.npz", "names.pkl"):
        (tmp_path / name).write_bytes(pickle.dumps(payload))
    monkeypatch.setenv("LFSSD_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert len(data.load("names", tmp_path, "cpu").train_y) > 4000
