"""Checkpoints: what is loaded is what was saved, or an error says why not."""

import json
import os
import shutil
from dataclasses import replace

import pytest
import torch
import torchvision
from torch import nn

from lfssd_nb import __version__, networks
from lfssd_nb.data.show import Images
from lfssd_nb.networks import checkpoints, vit
from lfssd_nb.networks.architecture import Architecture, describe
from lfssd_nb.system import files

NETS = [Architecture("resnet18", 8), Architecture("vit", size="micro")]


def other(few):
    return networks.build(NETS[0], few, seed=5)


@pytest.fixture(scope="module", params=NETS, ids=["resnet18", "vit"])
def net(request, few):
    """A network with statistics and weights of some size, none of them an initial value."""
    model = networks.build(request.param, few, seed=3)
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
    assert torch.equal(networks.logits(model, few.test_x), networks.logits(again, few.test_x))


def test_the_settings_say_what_the_tensors_are(few, tmp_path):
    about = {"accuracy": {9: 0.5, 10: (1, "é")}}  # JSON knows neither such keys nor tuples
    path = checkpoints.save(tmp_path / "x", networks.build(NETS[1], few), NETS[1], few, about, half=True)
    text = path.with_suffix(".json").read_text()
    settings = json.loads(text)
    assert text.count("\n") > 20 and settings["dtype"] == "float16" and settings["half"]
    assert settings["architecture"] == {"name": "vit", "width": 16, "size": "micro"}
    d = settings["data"]
    assert (d["name"], d["classes"], d["channels"], d["size"]) == ("digits", list(few.classes), 1, 8)
    assert d["mean"] == pytest.approx([few.show.mean.item()], abs=1e-4)
    assert d["std"] == pytest.approx([few.show.std.item()], abs=1e-4)
    assert settings["source"] == few.source and settings["sha256"] == files.digest(files.load(path)[0])
    assert (settings["torch"], settings["lfssd_nb"]) == (torch.__version__, __version__)
    assert checkpoints.load(path)[1]["about"] == {"accuracy": {"9": 0.5, "10": [1, "é"]}}


def test_what_would_be_rounded_unasked_is_refused(few, tmp_path):
    model = other(few).double()
    with pytest.raises(ValueError, match=r"conv1\.weight is torch\.float64, .* call model\.float\(\) first"):
        checkpoints.save(tmp_path / "x", model, NETS[0], few)
    assert not [*tmp_path.iterdir()]
    checkpoints.save(tmp_path / "x", model.float(), NETS[0], few)


def test_the_model_goes_where_its_data_are(saved, few):
    there = replace(few, train_x=few.train_x.to("meta"))

    def kind(*where):
        return checkpoints.load(saved[0], *where)[0].fc.weight.device.type

    assert (kind(), kind(few), kind(there), kind(there, "cpu")) == ("cpu", "cpu", "meta", "cpu")


def test_half_precision_is_half_the_size_and_answers_alike(net, few, tmp_path):
    architecture, model = net
    whole = checkpoints.save(tmp_path / "whole", model, architecture, few)
    half = checkpoints.save(tmp_path / "half", model, architecture, few, half=True)
    assert 0.45 < half.stat().st_size / whole.stat().st_size < 0.6
    again, _ = checkpoints.load(tmp_path / "half", few)
    assert {v.dtype for v in again.state_dict().values()} <= {torch.float32, torch.int64}
    z, rounded = (networks.logits(each, few.train_x) for each in (model, again))
    assert not torch.equal(z, rounded) and (z - rounded).abs().max() < 0.01 * z.abs().max()
    assert (z.argmax(1) == rounded.argmax(1)).float().mean() >= 0.99


def test_half_precision_leaves_integers_alone(few, tmp_path):
    model = other(few)
    model.bn1.num_batches_tracked.fill_(2049)  # float16 would make it 2048
    path = checkpoints.save(tmp_path / "half", model, NETS[0], few, half=True)
    tensors = files.load(path)[0]
    kinds = {value.dtype for name, value in tensors.items() if "num_batches" in name}
    assert kinds == {torch.int64} and tensors["fc.weight"].dtype == torch.float16
    assert checkpoints.load(path)[0].bn1.num_batches_tracked == 2049


def test_what_float16_cannot_hold_is_refused(few, tmp_path):
    model = networks.build(NETS[0], few)
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
    path = checkpoints.save(tmp_path / "net", networks.build(NETS[0], few), NETS[0], few)
    return path, path.with_suffix(".json")


@pytest.mark.parametrize("which", [0, 1])
def test_a_changed_byte_is_noticed(saved, which):
    raw = bytearray(saved[which].read_bytes())
    at = len(raw) - 40 if which == 0 else raw.index(b'"width": 8') + 9
    raw[at] ^= 1
    saved[which].write_bytes(raw)
    with pytest.raises(files.CorruptFile, match="damaged"):
        checkpoints.load(saved[0])


def test_a_cut_off_or_emptied_file_is_noticed(saved):
    for file in saved:
        whole = file.read_bytes()
        for part in (b"", whole[: len(whole) // 2], b"[]", b"\xff"):
            file.write_bytes(part)
            with pytest.raises(files.CorruptFile, match=rf"{file.name} is damaged"):
                checkpoints.load(saved[0])
        file.write_bytes(whole)
    checkpoints.load(saved[0])


def test_settings_never_vouch_for_other_tensors(saved, few, tmp_path, monkeypatch):
    """Killed after the tensors and before the settings: the older settings, or none, are still there."""
    real = os.replace

    def killed(source, target):
        if str(target).endswith(".json"):
            raise KeyboardInterrupt
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        for path in (saved[0], tmp_path / "fresh"):
            with pytest.raises(KeyboardInterrupt):
                checkpoints.save(path, other(few), NETS[0], few)
    with pytest.raises(files.CorruptFile, match=r"describes other tensors"):
        checkpoints.load(saved[0])
    assert (tmp_path / "fresh.safetensors").exists()
    with pytest.raises(FileNotFoundError, match=r"fresh\.json does not exist"):
        checkpoints.load(tmp_path / "fresh")
    checkpoints.save(saved[0], other(few), NETS[0], few)
    assert torch.equal(checkpoints.load(saved[0])[0].fc.weight, other(few).fc.weight)


@pytest.mark.parametrize("which", [0, 1])
def test_swapped_files_are_noticed(saved, few, tmp_path, which):
    elsewhere = checkpoints.save(tmp_path / "other", other(few), NETS[0], few)
    shutil.copy((elsewhere, elsewhere.with_suffix(".json"))[which], saved[which])
    with pytest.raises(files.CorruptFile, match=r"net\.json describes other tensors"):
        checkpoints.load(saved[0])


@pytest.mark.parametrize("at", [1, 2])
def test_a_full_disk_leaves_the_older_pair_or_none(saved, few, tmp_path, monkeypatch, at):
    real, calls = os.fsync, []

    def full(file):
        calls.append(file)
        if len(calls) == at:
            raise OSError(28, "No space left on device")
        real(file)

    before, files = checkpoints.load(saved[0])[0].fc.weight, {*tmp_path.iterdir()}
    monkeypatch.setattr(os, "fsync", full)
    for path in (saved[0], tmp_path / "fresh"):
        calls.clear()
        with pytest.raises(OSError, match="free some space"):
            checkpoints.save(path, other(few), NETS[0], few)
    assert {*tmp_path.iterdir()} == files
    assert torch.equal(checkpoints.load(saved[0])[0].fc.weight, before)


def test_a_missing_half_is_named(saved):
    tensors = saved[0].read_bytes()
    saved[0].unlink()
    with pytest.raises(FileNotFoundError, match=r"net\.safetensors does not exist"):
        checkpoints.load(saved[0])
    saved[0].write_bytes(tensors)
    saved[1].unlink()
    with pytest.raises(FileNotFoundError, match=r"net\.json does not exist: a checkpoint is two files"):
        checkpoints.load(saved[0])
    with pytest.raises(FileNotFoundError, match=r"other\.json"):
        checkpoints.load(saved[0].with_name("other"))


def test_another_architecture_is_named_by_its_first_tensor(few, tmp_path):
    model = networks.build(NETS[0], few)
    path = checkpoints.save(tmp_path / "net", model, replace(NETS[0], width=16), few)
    with pytest.raises(ValueError, match=r"conv1\.weight is \(16, .* in the network and \(8, "):
        checkpoints.load(path)
    path = checkpoints.save(tmp_path / "net", model, NETS[1], few)
    with pytest.raises(ValueError, match=r"class_token is .* in the network and missing in the file"):
        checkpoints.load(path)
    model.register_buffer("extra", torch.zeros(2))
    path = checkpoints.save(tmp_path / "net", model, NETS[0], few)
    with pytest.raises(ValueError, match=r"extra is missing in the network and \(2,\) in the file"):
        checkpoints.load(path)


def test_the_size_of_a_vit_means_nothing_to_a_resnet(few, tmp_path):
    architecture = Architecture("resnet18", 8, "vit_b_16")
    model = networks.build(architecture, few)
    again, _ = checkpoints.load(checkpoints.save(tmp_path / "net", model, architecture, few), few)
    assert torch.equal(again.fc.weight, model.fc.weight)


def shaped(d, *shape):
    """The same labels, samples of zeros in another shape."""
    return replace(d, train_x=torch.zeros(len(d.train_y), *shape), test_x=torch.zeros(len(d.test_y), *shape))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda d: replace(d, classes=(*d.classes, "eleven"), parents=None, superclasses=None),
            "with classes",
        ),
        (lambda d: shaped(d, 3, 8, 8), "with channels 1"),
        (lambda d: shaped(d, 1, 9, 9), "with size 8"),
        (lambda d: replace(d, show=Images(d.show.mean + 0.1, d.show.std)), "with mean"),
        (lambda d: replace(d, show=Images(d.show.mean, d.show.std * 2)), "with std"),
    ],
)
def test_other_data_are_refused(saved, few, change, said):
    checkpoints.load(saved[0], few)
    with pytest.raises(ValueError, match=f"{said}.*load the data set that it belongs to"):
        checkpoints.load(saved[0], change(few))


def test_rounding_is_not_another_normalisation(few, tmp_path):
    mean, std = few.show.mean, few.show.std
    one, two, far = (
        replace(few, show=Images(torch.full_like(mean, v), std)) for v in (0.1234549, 0.1234551, 0.1244551)
    )
    path = checkpoints.save(tmp_path / "net", other(few), NETS[0], one)
    checkpoints.load(path, two)
    with pytest.raises(ValueError, match="with mean"):
        checkpoints.load(path, far)


def test_vit_b_16_is_the_network_that_is_trained(few, monkeypatch):
    """No weights are made (meta device) or downloaded: only names and shapes are compared."""
    real = torchvision.models.vit_b_16
    monkeypatch.setattr(vit, "vit_b_16", lambda weights: real(weights=None))
    architecture = Architecture("vit", size="vit_b_16")
    with torch.device("meta"):
        trained = vit.vit(len(few.classes), 1, 8, "vit_b_16")
        empty = checkpoints._empty(
            describe(architecture), {"classes": list(few.classes), "channels": 1, "size": 8}
        )
    shapes = [{k: v.shape for k, v in each.state_dict().items()} for each in (trained, empty)]
    assert len(shapes[0]) == 152 and shapes[0] == shapes[1] and type(trained) is type(empty)


def test_a_pretrained_architecture_is_loaded_without_a_download(few, tmp_path, monkeypatch):
    class Small(nn.Module):
        hidden_dim = 6

        def __init__(self):
            super().__init__()
            self.heads = nn.Linear(6, 1000)

    def build(weights):
        assert weights is None
        return Small()

    monkeypatch.setattr(vit, "vit_b_16", build)
    architecture = Architecture("vit", size="vit_b_16")
    model = checkpoints._empty(
        describe(architecture), {"classes": list(few.classes), "channels": 1, "size": 8}
    )
    path = checkpoints.save(tmp_path / "big", model, architecture, few)
    state = torch.get_rng_state()
    again, settings = checkpoints.load(path, few)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(again.vit.heads[0].weight, model.vit.heads[0].weight)
    assert json.loads(path.with_suffix(".json").read_text())["architecture"] == settings["architecture"]
