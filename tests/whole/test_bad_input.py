"""Bad input and bad luck: refused by name and with a remedy, and nothing has changed afterwards."""

import contextlib
import errno
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from patience import wait_until
from torch import nn

import lfssd_nb
from lfssd_nb import cli, data, networks
from lfssd_nb.dampening import dampen
from lfssd_nb.data import catalogue, downloads, scenarios
from lfssd_nb.importance import Importance, fisher, sensitivity
from lfssd_nb.lab import comparison
from lfssd_nb.networks import training
from lfssd_nb.networks.recipes import Recipe
from lfssd_nb.networks.training import trained
from lfssd_nb.system import files
from lfssd_nb.unlearn import lfssd, ssd

NAN, INF = float("nan"), float("inf")
QUICK = "--subset 100 --width 8 --epochs 1 --device cpu --no-gold"
SMALL, SHORT = networks.Architecture("resnet18", width=8), Recipe(epochs=1)


def bits(model: nn.Module) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def condition(model: nn.Module) -> tuple:
    """All that a failed call could have changed: weights, buffers, modes, flags, gradients, hooks."""
    modules = [(m.training, len(m._forward_hooks)) for m in model.modules()]
    return bits(model), modules, [(p.requires_grad, p.grad) for p in model.parameters()]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@contextlib.contextmanager
def refuses(
    error: type[BaseException], match: str, model: nn.Module | None = None, folder: Path | None = None
):
    """The block raises ``error`` with a message like ``match`` and changes neither model nor files."""
    before = model and condition(model), folder and contents(folder)
    with pytest.raises(error, match=f"(?s){match}"):
        yield
    assert (model and condition(model), folder and contents(folder)) == before


@pytest.fixture(scope="module")
def i_d(tiny, digits):
    return sensitivity(tiny, digits.train_x[:60])


@pytest.fixture(scope="module")
def i_f(tiny, digits):
    return sensitivity(tiny, digits.train_x[:20])


def with_value(importance: Importance, value: float) -> dict[str, torch.Tensor]:
    changed = {name: v.clone() for name, v in importance.mean.items()}
    changed["1.bias"][0] = value
    return changed


# ---- the forget set


def test_empty_forget_set_in_a_scenario(digits):
    with refuses(ValueError, "forget set is empty .*index.*name at least one"):
        scenarios.from_index(digits, torch.tensor([]))


def test_class_without_samples(digits):
    nines = (digits.train_y != 9).nonzero()[:, 0]
    without = replace(digits, train_x=digits.train_x[nines], train_y=digits.train_y[nines])
    with refuses(ValueError, "forget set is empty .*class 9"):
        scenarios.forget_class(without, 9)


@pytest.mark.parametrize("reduction", ["sample", "batch"])
def test_importance_of_nothing(model, digits, reduction):
    with refuses(ValueError, "no samples.*empty set", model):
        sensitivity(model, digits.train_x[:0], reduction=reduction, batch_size=8)


def test_importance_of_an_empty_loader(model):
    with refuses(ValueError, "no samples.*empty set", model):
        fisher(model, [])


def test_unlearning_an_empty_forget_set(model, digits):
    with refuses(ValueError, "no samples.*empty set", model):
        lfssd(model, digits.train_x[:0], digits.train_x[:20])


@pytest.mark.parametrize(("positions", "named"), [([0, 1397], "0 to 1397"), ([-1, 5], "-1 to 5")])
def test_positions_outside_d(digits, positions, named):
    with refuses(ValueError, f"not inside D: positions {named}.*1397 samples .0 to 1396"):
        scenarios.from_index(digits, torch.tensor(positions))


def test_a_position_given_twice(digits):
    with refuses(ValueError, "twice; pass every position once"):
        scenarios.from_index(digits, torch.tensor([4, 4]))


def test_forgetting_all_of_d(digits):
    with refuses(ValueError, "all of D.*train anew instead"):
        scenarios.from_index(digits, torch.arange(1397))


def test_importances_that_prove_the_forget_set_is_not_inside_d(model, digits, i_d):
    stranger = sensitivity(model, 5 * digits.train_x[100:110])
    with refuses(ValueError, "not inside D: at '.*must be over the full training set", model):
        dampen(model, stranger, i_d, alpha=2)


def test_more_samples_to_forget_than_there_are(model, i_f, i_d):
    with refuses(ValueError, r"forget set \(60 samples\) is not inside D \(20 samples\)", model):
        dampen(model, i_d, i_f, alpha=2)


# ---- unknown names


@pytest.mark.parametrize("target", [10, -1, "10", "-1", "cat", ""])
def test_unknown_class(digits, target):
    with refuses(ValueError, f"unknown class '?{target}'?: 'digits' has 0 to 9"):
        scenarios.forget_class(digits, target)


@pytest.mark.parametrize("target", [10, "cat"])
def test_unknown_sub_class(digits, target):
    with refuses(ValueError, f"unknown subclass '?{target}'?: 'digits5' has 0 to 9"):
        scenarios.forget_subclass(digits.coarsen(), target)


def test_sub_class_of_data_without_super_classes(digits):
    with refuses(ValueError, r"'digits' .*super-class.*: use data.coarsen\(\)"):
        scenarios.forget_subclass(digits, 3)


def test_coarsening_twice(digits):
    with refuses(ValueError, "'digits5' has no super-classes; use digits or cifar100"):
        digits.coarsen().coarsen()


def test_unknown_data_set():
    with refuses(ValueError, "unknown data set 'mnist'; choose one of digits, "):
        data.load("mnist")


@pytest.mark.parametrize("n", [0, -5, 1398])
def test_impossible_subset(digits, n):
    with refuses(ValueError, f"subset of {n} images is not possible: 'digits' has 1397"):
        digits.subset(n)


def test_a_subset_too_small_for_every_class_names_the_number_asked_for(digits):
    with refuses(ValueError, r"subset of 7 images .* 10 classes"):
        digits.subset(7)


def test_unknown_scenario(digits):
    with refuses(ValueError, "unknown scenario 'klass'; choose one of class, subclass, random, group"):
        scenarios.make(digits, "klass", 3)


@pytest.mark.parametrize("target", [0, "0", 1397])
def test_impossible_number_of_random_samples(digits, target):
    with refuses(ValueError, f"cannot forget {target} random samples of 1397; choose 1 to 1396"):
        scenarios.make(digits, "random", target)


@pytest.mark.parametrize("target", ["many", "2.5", -3])
def test_random_forgetting_without_a_number(digits, target):
    with refuses(ValueError, f"needs a number of samples, got '?{target}"):
        scenarios.make(digits, "random", target)


def test_unknown_method(model, digits):
    with refuses(ValueError, "unknown method 'sdd'; choose one of lfssd, ssd", model):
        comparison.forget("sdd", model, digits, scenarios.forget_class(digits, 3))


def test_unknown_method_is_found_before_anything_is_trained(few, own_cache):
    with refuses(ValueError, "unknown method 'sdd'", folder=own_cache):
        comparison.compare(few, scenarios.forget_class(few, 3), SMALL, {"sdd": {}}, recipe=SHORT)


def test_unknown_architecture():
    with refuses(ValueError, "unknown architecture 'resnet'; choose one of resnet18, vit"):
        networks.Architecture("resnet")


def test_no_width():
    with refuses(ValueError, "width must be at least 1, got 0"):
        networks.Architecture("resnet18", width=0)


def test_unknown_size_of_vit(digits):
    with refuses(ValueError, "unknown ViT size 'huge'; choose .*micro.*small.*vit_b_16"):
        networks.build(networks.Architecture("vit", size="huge"), digits)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"reduction": "mean"}, "unknown reduction 'mean'; choose 'sample' or 'batch'"),
        ({"method": "fast"}, "unknown method 'fast'; choose 'auto', 'vmap' or 'loop'"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ],
)
def test_unknown_option_of_the_importance(model, digits, option, message):
    with refuses(ValueError, message, model):
        sensitivity(model, digits.train_x[:4], **option)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch_size": 1}, {"optimizer": "lion"}])
def test_impossible_recipe(wrong):
    (name, value) = next(iter(wrong.items()))
    with refuses(ValueError, f"{name}.*{value}"):
        Recipe(**wrong)


# ---- importances


@pytest.mark.parametrize("reduction", ["sample", "batch"])
@pytest.mark.parametrize("value", [NAN, INF])
def test_a_model_with_broken_weights(model, digits, value, reduction):
    model[0].weight.data[0, 0, 1, 1] = value
    with refuses(ValueError, r"importance of parameter '.*NaN or infinite.*check the model's weights", model):
        sensitivity(model, digits.train_x[:8], reduction=reduction, batch_size=4)


@pytest.mark.parametrize("value", [NAN, INF])
@pytest.mark.parametrize("which", ["forget", "full"])
def test_importance_that_is_not_finite(model, i_f, i_d, which, value):
    pair = {"forget": i_f.mean, "full": i_d.mean} | {which: with_value(i_d, value)}
    with refuses(ValueError, f"{which} importance of parameter '1.bias' has 1 NaN or infinite", model):
        dampen(model, **pair, alpha=2)


@pytest.mark.parametrize("which", ["forget", "full"])
def test_negative_importance(model, i_f, i_d, which):
    pair = {"forget": i_f.mean, "full": i_d.mean} | {which: with_value(i_d, -0.25)}
    with refuses(ValueError, rf"the {which} importance of .* is negative \(-", model):
        dampen(model, **pair, alpha=2)


def test_negative_importance_names_the_parameter(model, i_f, i_d):
    with refuses(ValueError, r"1\.bias", model):
        dampen(model, with_value(i_f, -0.25), i_d.mean, alpha=2)


@pytest.fixture
def wider(digits):
    """Importance of a model like ``tiny``, of twice its width."""
    wide = nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(),
        nn.Linear(256, 10),
    )  # fmt: skip
    return sensitivity(wide, digits.train_x[:20])


def test_importance_of_a_model_of_another_width(model, wider):
    with refuses(
        ValueError, r"another model: parameter '.*' is \(.*\) here and \(.*\) there; compute", model
    ):
        dampen(model, wider.mean, wider.mean, alpha=2)


def test_importance_of_a_model_with_other_names(model, i_f, i_d):
    renamed = {f"net.{name}": value for name, value in i_f.mean.items()}
    with refuses(ValueError, "another model: parameter '.*absent.*; compute it with this model", model):
        dampen(model, renamed, i_d.mean, alpha=2)


def test_importances_of_different_models(model, i_f, wider):
    with refuses(ValueError, "another model: parameter '.*; compute it with this model", model):
        dampen(model, wider, i_f, alpha=2)


def test_adding_importances_of_different_models(i_f, wider):
    with refuses(ValueError, "another model: parameter '.*; compute it with this model"):
        i_f + wider


@pytest.fixture(params=["fisher", "batch"])
def other_kind(request, tiny, digits):
    x, y = digits.train_x[:60], digits.train_y[:60]
    if request.param == "fisher":
        return fisher(tiny, x, y)
    return sensitivity(tiny, x, reduction="batch", batch_size=20)


def test_dampening_with_importances_of_different_kinds(model, i_f, other_kind):
    kinds = re.escape(f"('sensitivity', 'sample') and ('{other_kind.estimator}', '{other_kind.reduction}')")
    with refuses(ValueError, f"different kinds, {kinds}; re-compute one", model):
        dampen(model, i_f, other_kind, alpha=2)


def test_adding_importances_of_different_kinds(i_f, other_kind):
    with refuses(ValueError, f"cannot merge.*{other_kind.estimator}.*{other_kind.reduction}.*re-compute one"):
        i_f + other_kind


def test_importance_of_the_other_method(model, digits):
    x, y = digits.train_x[:30], digits.train_y[:30]
    with refuses(ValueError, "fisher", model):
        lfssd(model, fisher(model, x[:10], y[:10]), fisher(model, x, y))


def test_a_model_without_trainable_parameters(model, digits):
    model.requires_grad_(False)
    with refuses(ValueError, "no trainable parameter: set requires_grad=True", model):
        sensitivity(model, digits.train_x[:4])


@pytest.mark.parametrize("alpha", [0, -1.5, NAN, INF])
def test_alpha_must_be_positive(model, i_f, i_d, alpha):
    with refuses(ValueError, f"alpha must be positive and finite, got {alpha}; try 0.4", model):
        dampen(model, i_f, i_d, alpha)


@pytest.mark.parametrize("alpha", [0, -1.5, NAN])
def test_alpha_is_checked_before_the_importances_are_paid_for(model, alpha):
    with refuses(ValueError, f"alpha must be positive and finite, got {alpha}; try", model):
        lfssd(model, "never looked at", "never looked at", alpha)


@pytest.mark.parametrize("lam", [-0.1, NAN, INF])
def test_lambda_must_not_be_negative(model, i_f, i_d, lam):
    with refuses(ValueError, f"lam .* must be non-negative and finite, got {lam}; the papers use 1", model):
        dampen(model, i_f, i_d, alpha=2, lam=lam)


def test_batch_importance_without_a_batch_size(model, digits):
    with refuses(ValueError, "reduction='batch' depends on the batch size: give batch_size", model):
        sensitivity(model, digits.train_x[:4], reduction="batch")


def test_batch_importance_without_alpha(model, digits):
    how = dict(reduction="batch", batch_size=8)
    i_d = sensitivity(model, digits.train_x[:20], **how)
    with refuses(ValueError, "batch-mean importance has no scale-free alpha: give alpha", model):
        lfssd(model, digits.train_x[:8], i_d, **how)


@pytest.mark.parametrize(("n", "got"), [(None, "none"), (4, "4"), (6, "6")])
def test_fisher_needs_a_label_for_every_input(model, digits, n, got):
    labels = None if n is None else digits.train_y[:n]
    with refuses(ValueError, f"5 inputs needs as many labels; got {got}", model):
        fisher(model, digits.train_x[:5], labels)


@pytest.mark.parametrize("as_tuple", [False, True])
@pytest.mark.parametrize("reduction", ["sample", "batch"])
def test_fisher_from_a_loader_without_labels(model, digits, reduction, as_tuple):
    x = digits.train_x[:5]
    with refuses(ValueError, r"needs batches of \(inputs, labels\); got inputs only", model):
        fisher(model, [(x,) if as_tuple else x], reduction=reduction)


@pytest.mark.parametrize("reduction", ["sample", "batch"])
def test_fisher_from_a_loader_with_too_few_labels(model, digits, reduction):
    with refuses(ValueError, r"\b5\b.*\b4\b", model):
        fisher(model, [(digits.train_x[:5], digits.train_y[:4])], reduction=reduction)


def test_ssd_without_labels(model, digits):
    with refuses(ValueError, "10 inputs needs as many labels; got none", model):
        ssd(model, digits.train_x[:10], digits.train_x[:20])


def test_batch_norm_that_mixes_samples(model, digits):
    model[1] = nn.BatchNorm2d(8, track_running_stats=False)
    with refuses(ValueError, "'1' is batch norm without running statistics.*use reduction='batch'", model):
        sensitivity(model, digits.train_x[:4])


# ---- damaged files


def flip_last(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def flip_first(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


def halve(content: bytes) -> bytes:
    return content[: len(content) // 2]


def nothing(content: bytes) -> bytes:
    return b""


DAMAGES = pytest.mark.parametrize("damage", [flip_first, flip_last, halve, nothing])


@DAMAGES
def test_a_damaged_model_in_the_cache_is_made_again(few, own_cache, damage):
    first = trained(few, SMALL, SHORT)
    (path,) = (own_cache / "models").iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert bits(trained(few, SMALL, SHORT)) == bits(first)
    files.load(path)  # whole again


@DAMAGES
def test_damaged_importance(i_f, tmp_path, damage):
    path = tmp_path / "importance.safetensors"
    i_f.save(path)
    path.write_bytes(damage(path.read_bytes()))
    message = f"{re.escape(str(path))} is damaged .*delete it and make it again"
    with refuses(files.CorruptFile, message, folder=tmp_path):
        Importance.load(path)


def test_any_changed_byte_of_an_importance_is_noticed(tmp_path):
    path = tmp_path / "importance.safetensors"
    Importance({"w": torch.rand(3), "b": torch.rand(1)}, 2, 2, "fisher", "sample").save(path)
    whole = path.read_bytes()
    for k in range(len(whole)):
        path.write_bytes(whole[:k] + bytes([whole[k] ^ 1]) + whole[k + 1 :])
        with pytest.raises(files.CorruptFile):
            Importance.load(path)


def test_a_model_is_not_an_importance(few, own_cache):
    trained(few, SMALL, SHORT)
    (path,) = (own_cache / "models").iterdir()
    with refuses(ValueError, re.escape(str(path)), folder=own_cache):
        Importance.load(path)


def test_importance_that_is_not_there(tmp_path):
    with refuses(FileNotFoundError, "nowhere.safetensors does not exist"):
        Importance.load(tmp_path / "nowhere.safetensors")


def spoiled(path: Path) -> str:
    return f"{re.escape(str(path))} is damaged or incomplete .*; delete it, and it is downloaded or prepared"


def unfit(path: Path) -> str:
    said = f"{re.escape(str(path))} does not hold {path.stem} as it should: .*Correct it, or delete it"
    return f"{said}, and it is downloaded or prepared"


@pytest.mark.parametrize("where", [0.0, 0.3, 0.6])
def test_a_changed_byte_of_the_data(prepare, tmp_path, where):
    prepare("cifar10")
    path = tmp_path / "cifar10.npz"
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 0xFF
    path.write_bytes(content)
    with refuses(ValueError, spoiled(path), folder=tmp_path):
        data.load("cifar10", tmp_path, "cpu")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_no_changed_byte_of_the_data_raises_anything_else(prepare, tmp_path, save):
    grey = np.arange(200, dtype=np.uint8).repeat(48).reshape(200, 4, 4, 3)
    prepare("cifar10", save, train_images=grey, test_images=grey[:100])
    path = tmp_path / "cifar10.npz"
    whole = path.read_bytes()
    for k in range(0, len(whole), max(1, len(whole) // 1000)):
        path.write_bytes(whole[:k] + bytes([whole[k] ^ 0x80]) + whole[k + 1 :])
        with contextlib.suppress(ValueError):
            downloads.arrays("cifar10", tmp_path)


@pytest.mark.parametrize("damage", [halve, nothing])
def test_truncated_data(prepare, tmp_path, damage):
    prepare("cifar10")
    path = tmp_path / "cifar10.npz"
    path.write_bytes(damage(path.read_bytes()))
    with refuses(ValueError, spoiled(path), folder=tmp_path):
        data.load("cifar10", tmp_path, "cpu")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"test_label": None}, "test_label"),
        ({"names": None}, "names"),
        ({"names": "{"}, ""),
        ({"names": '["cat", "dog"]'}, ""),
        ({"names": '{"label": ["cat", "dog"]}'}, "labels 0 to 9 for 2 class names"),
        ({"train_label": np.arange(199) % 10}, "199 labels"),
        ({"train_label": np.arange(200) % 10 - 1}, "labels -1 to 8 for 10"),
        ({"train_images": np.zeros((200, 32, 32, 3))}, "float64"),
    ],
)
def test_incomplete_data(prepare, tmp_path, changes, named):
    prepare("cifar10", **changes)
    with refuses(ValueError, f"(?=.*{named}){unfit(tmp_path / 'cifar10.npz')}", folder=tmp_path):
        data.load("cifar10", tmp_path, "cpu")


def test_cifar100_without_coarse_labels(prepare, tmp_path):
    prepare("cifar100", train_coarse=None)
    with refuses(ValueError, f"(?=.*train_coarse){unfit(tmp_path / 'cifar100.npz')}", folder=tmp_path):
        data.load("cifar20", tmp_path, "cpu")


def test_a_lone_array_in_place_of_the_data(tmp_path):
    with (tmp_path / "cifar10.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with refuses(ValueError, spoiled(tmp_path / "cifar10.npz"), folder=tmp_path):
        data.load("cifar10", tmp_path, "cpu")


# ---- no network, no folder


@pytest.mark.filterwarnings("ignore:Retry downloading")
@pytest.mark.parametrize("name", ["cifar10", "cifar20", "cifar100", "olivetti"])
def test_no_network_for_the_images(no_network, tmp_path, name):
    name_on_disk = catalogue.COARSE_OF.get(name, name)
    remedy = f"{name_on_disk} could not be downloaded .*put a ready {name_on_disk}.npz .*'digits' needs no"
    with refuses(ConnectionError, remedy, folder=tmp_path):
        data.load(name, tmp_path, "cpu")


def test_no_network_for_the_weights_of_vit(no_network, tmp_path, digits):
    with refuses(
        ConnectionError, "weights of vit_b_16 could not be downloaded or read .*torch.hub", folder=tmp_path
    ):
        networks.build(networks.Architecture("vit", size="vit_b_16"), digits)


def test_damaged_weights_of_vit(no_network, tmp_path, digits, monkeypatch):
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "vit_b_16-c867db91.pth").write_bytes(b"half of a file")
    with refuses(ValueError, "c867db91.pth is not the file of https://.*; delete it", folder=tmp_path):
        networks.build(networks.Architecture("vit", size="vit_b_16"), digits)


def test_pins_without_pictures(tmp_path):
    with refuses(
        FileNotFoundError, f"{re.escape(str(tmp_path / 'pins'))} does not exist.*one folder .*per person"
    ):
        data.load("pins", tmp_path, "cpu")


# ---- full disks and interruptions


def full_disk(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def interrupted(*_):
    raise KeyboardInterrupt


FAILURES = pytest.mark.parametrize(
    ("failure", "error", "message"),
    [(full_disk, OSError, "could not write .*No space left.*untouched: free some space"),
     (interrupted, KeyboardInterrupt, "")],
)  # fmt: skip
STEPS = pytest.mark.parametrize("step", ["fsync", "replace"])


@FAILURES
@STEPS
def test_a_failed_save_leaves_the_old_importance(
    i_f, i_d, tmp_path, monkeypatch, step, failure, error, message
):
    path = tmp_path / "importance.safetensors"
    i_f.save(path)
    monkeypatch.setattr(os, step, failure)
    with refuses(error, message, folder=tmp_path):  # neither the old file changes nor a .part stays
        i_d.save(path)


@STEPS
def test_a_full_disk_costs_the_cache_and_not_the_model(few, own_cache, monkeypatch, step):
    message = "not cached: .*could not write .*untouched: free some space"
    with monkeypatch.context() as patch, pytest.warns(UserWarning, match=message):
        patch.setattr(os, step, full_disk)
        model = trained(few, SMALL, SHORT)
    assert not [path for path in own_cache.glob("**/*") if path.is_file()]
    again = trained(few, SMALL, SHORT).state_dict()
    assert all(torch.equal(v, again[k]) for k, v in model.state_dict().items())


@STEPS
def test_an_interrupted_save_of_a_model_leaves_no_file(few, own_cache, monkeypatch, step):
    monkeypatch.setattr(os, step, interrupted)
    with refuses(KeyboardInterrupt, "", folder=own_cache):
        trained(few, SMALL, SHORT)


@FAILURES
def test_a_failed_preparation_of_data_leaves_no_file(tmp_path, monkeypatch, failure, error, message):
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
    monkeypatch.setitem(
        downloads._PREPARE,
        "pins",
        lambda root: downloads._split(images, np.arange(20) // 10, ["Ann", "Bo"], "test"),
    )
    monkeypatch.setattr(os, "replace", failure)
    with refuses(error, message, folder=tmp_path):
        data.load("pins", tmp_path, "cpu")


def test_a_disk_that_fills_up_in_the_middle(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "importance.safetensors"
    files.write(path, b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, limits[1]))
    try:
        with refuses(OSError, f"could not write {re.escape(str(path))}", folder=tmp_path):
            files.write(path, bytes(2**22))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


KILLED = """
import os, signal, sys
from lfssd_nb.system import files
os.fsync = lambda _: signal.pause()  # never gets as far as the renaming
files.write(sys.argv[1], bytes(2**26))
"""


def package_environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(lfssd_nb.__file__).parent.parent)}


@pytest.fixture(scope="module")
def killed(few, tmp_path_factory):
    """A cached model, and the folder after a process that was overwriting its file got SIGKILL."""
    cache = tmp_path_factory.mktemp("killed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LFSSD_CACHE", str(cache))
        first = trained(few, SMALL, SHORT)
        (path,) = (cache / "models").iterdir()
        whole = path.read_bytes()
        child = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], env=package_environment())
        try:
            wait_until(
                lambda: any(part.stat().st_size for part in path.parent.glob("*.part")),
                "it began to write", lambda: child.poll() is None,
            )  # fmt: skip
        finally:
            child.kill()
        assert child.wait() == -signal.SIGKILL
        yield first, path, whole


def test_sigkill_while_writing_leaves_the_old_file(killed):
    _, path, whole = killed
    assert path.read_bytes() == whole


def test_after_sigkill_the_old_model_is_read(killed, few, monkeypatch):
    monkeypatch.setattr(training, "fit", lambda *_: pytest.fail("trained again"))
    assert bits(trained(few, SMALL, SHORT)) == bits(killed[0])


def test_after_sigkill_a_half_written_file_is_never_read(killed, few):
    first, path, _ = killed
    path.unlink()
    assert list(path.parent.glob("*.part"))
    assert bits(trained(few, SMALL, SHORT)) == bits(first)


# ---- the command line


def test_no_network_on_the_command_line(no_network, capsys, tmp_path):
    assert cli.main(["forget", "--data", "cifar10", "--data-root", str(tmp_path)]) == 2
    assert "put a ready cifar10.npz into the data root" in capsys.readouterr().err.splitlines()[-1]


def test_full_disk_on_the_command_line(capsys, own_cache, monkeypatch):
    monkeypatch.setattr(os, "fsync", full_disk)
    out = own_cache / "out.json"
    with pytest.warns(UserWarning, match="not cached"):
        assert cli.main(["forget", *QUICK.split(), "--json", str(out)]) == 2
    assert re.search("lfssd-nb: error: .*could not write .*free some space.*\n", capsys.readouterr().err)
    assert not [path for path in own_cache.glob("**/*") if path.is_file()]


def test_a_program_that_is_called_wrongly_shows_no_traceback(tmp_path):
    command = [sys.executable, "-m", "lfssd_nb.cli", "forget", "--data", "mnist"]
    done = subprocess.run(command, env=package_environment(), cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert re.fullmatch("lfssd-nb: error: unknown data set 'mnist'.*\n", done.stderr)
