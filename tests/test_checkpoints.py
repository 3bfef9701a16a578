"""Checkpoints: what is loaded is what was saved, or an error says why not."""

import json
import os
from dataclasses import replace

import pytest
import torch
import torchvision
from torch import nn

from lfssd_nb import checkpoints, metrics, models, store
from lfssd_nb.models import Architecture

NETS = [Architecture("resnet18", 8), Architecture("vit", size="micro")]


@pytest.fixture(scope="module", params=NETS, ids=["resnet18", "vit"])
def net(request, few):
    """A network with statistics and weights of some size, none of them an initial value."""
    model = models.build(request.param, few, seed=3)
    model.train()(few.train_x[:50])
    return request.param, model.eval()


def test_float32_comes_back_bit_for_bit(net, few, tmp_path):
    architecture, model = net
    path = checkpoints.save(tmp_path / "a.b", model, architecture, few, {"seed": 3})
    assert {p.name for p in tmp_path.iterdir()} == {"a.b.safetensors", "a.b.json"} and path.exists()
    again, settings = checkpoints.load(path, few)
    assert not again.training and settings["about"] == {"seed": 3} and settings["source"] == few.source
    before, after = model.state_dict(), again.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[k], after[k]) for k in before)
    assert torch.equal(metrics.logits(model, few.test_x), metrics.logits(again, few.test_x))


def test_half_precision_is_half_the_size_and_answers_alike(net, few, tmp_path):
    architecture, model = net
    whole = checkpoints.save(tmp_path / "whole", model, architecture, few)
    half = checkpoints.save(tmp_path / "half", model, architecture, few, half=True)
    assert 0.45 < half.stat().st_size / whole.stat().st_size < 0.6
    again, _ = checkpoints.load(tmp_path / "half", few)
    assert {v.dtype for v in again.state_dict().values()} <= {torch.float32, torch.int64}
    z, rounded = (metrics.logits(each, few.train_x) for each in (model, again))
    assert not torch.equal(z, rounded) and (z - rounded).abs().max() < 0.01 * z.abs().max()
    assert (z.argmax(1) == rounded.argmax(1)).float().mean() >= 0.99


def test_what_float16_cannot_hold_is_refused(few, tmp_path):
    model = models.build(NETS[0], few)
    with torch.no_grad():
        model.fc.weight[0, 0] = 1e6
    with pytest.raises(ValueError, match=r"fc\.weight is not finite in float16; half=False"):
        checkpoints.save(tmp_path / "x", model, NETS[0], few, half=True)
    assert not [*tmp_path.iterdir()]
    checkpoints.save(tmp_path / "x", model, NETS[0], few)
    model.fc.weight.data[0, 0] = float("nan")
    with pytest.raises(ValueError, match=r"fc\.weight is not finite$"):
        checkpoints.save(tmp_path / "y", model, NETS[0], few)


@pytest.fixture
def saved(few, tmp_path):
    path = checkpoints.save(tmp_path / "net", models.build(NETS[0], few), NETS[0], few)
    return path, path.with_suffix(".json")


@pytest.mark.parametrize("which", [0, 1])
def test_a_changed_byte_is_noticed(saved, which):
    raw = bytearray(saved[which].read_bytes())
    at = len(raw) - 40 if which == 0 else raw.index(b'"width": 8') + 9
    raw[at] ^= 1
    saved[which].write_bytes(raw)
    with pytest.raises(store.CorruptFile, match="damaged"):
        checkpoints.load(saved[0])


def test_settings_never_vouch_for_other_tensors(saved, few, monkeypatch):
    """Killed after the tensors and before the settings: the older settings are still there."""
    real = store.write
    monkeypatch.setattr(store, "write", lambda path, payload: path.suffix == ".json" or real(path, payload))
    checkpoints.save(saved[0], models.build(NETS[0], few, seed=5), NETS[0], few)
    with pytest.raises(store.CorruptFile, match=r"describes other tensors"):
        checkpoints.load(saved[0])


def test_a_full_disk_leaves_the_older_pair(saved, few, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = checkpoints.load(saved[0])[0].fc.weight
    with monkeypatch.context() as patch, pytest.raises(OSError, match="free some space"):
        patch.setattr(os, "fsync", full)
        checkpoints.save(saved[0], models.build(NETS[0], few, seed=5), NETS[0], few)
    assert torch.equal(checkpoints.load(saved[0])[0].fc.weight, before)


def test_a_missing_half_is_named(saved):
    saved[1].unlink()
    with pytest.raises(FileNotFoundError, match=r"net\.json does not exist: a checkpoint is two files"):
        checkpoints.load(saved[0])
    with pytest.raises(FileNotFoundError, match=r"other\.json"):
        checkpoints.load(saved[0].with_name("other"))


def test_another_architecture_is_named_by_its_first_tensor(few, tmp_path):
    model = models.build(NETS[0], few)
    path = checkpoints.save(tmp_path / "net", model, replace(NETS[0], width=16), few)
    with pytest.raises(ValueError, match=r"conv1\.weight is \(16, .* in the network and \(8, "):
        checkpoints.load(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: replace(d, classes=(*d.classes, "eleven")), "with classes"),
        (lambda d: replace(d, train_x=torch.zeros(2, 3, 8, 8)), "with channels 1"),
        (lambda d: replace(d, train_x=torch.zeros(2, 1, 9, 9)), "with size 8"),
        (lambda d: replace(d, mean=d.mean + 0.1), "with mean"),
        (lambda d: replace(d, std=d.std * 2), "with std"),
    ],
)
def test_other_data_are_refused(saved, few, change, said):
    checkpoints.load(saved[0], few)
    with pytest.raises(ValueError, match=f"{said}.*load the data set that it belongs to"):
        checkpoints.load(saved[0], change(few))


def test_a_pretrained_architecture_is_loaded_without_a_download(few, tmp_path, monkeypatch):
    class Small(nn.Module):
        hidden_dim = 6

        def __init__(self):
            super().__init__()
            self.heads = nn.Linear(6, 1000)

    def build(weights):
        assert weights is None
        return Small()

    monkeypatch.setattr(checkpoints, "vit_b_16", build)
    monkeypatch.setattr(torchvision.models, "vit_b_16", None)
    architecture = Architecture("vit", size="vit_b_16")
    model = checkpoints._empty(architecture, {"classes": list(few.classes), "channels": 1, "size": 8})
    path = checkpoints.save(tmp_path / "big", model, architecture, few)
    again, settings = checkpoints.load(path, few)
    assert torch.equal(again.vit.heads[0].weight, model.vit.heads[0].weight)
    assert json.loads(path.with_suffix(".json").read_text())["architecture"] == settings["architecture"]
