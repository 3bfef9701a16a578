"""Files whose checksums hold and whose content somebody else wrote: refused by name, or made again."""

import json
import resource
from dataclasses import replace

import pytest
import torch

from lfssd_nb import networks
from lfssd_nb.networks import checkpoints, resume, training
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.recipes import Recipe
from lfssd_nb.system import files

NET, GRU, SHORT = Architecture("resnet18", 8), Architecture("gru", 8), Recipe(2, batch_size=32)


@pytest.fixture(scope="module")
def words(few):
    """The digits as rows of 8 tokens."""
    x = [(part.flatten(1)[:, :8] > 0).long() for part in (few.train_x, few.test_x)]
    return networks.checkpoints.Dataset.from_tensors(x[0], few.train_y, x[1], few.test_y)


def sealed_anew(path, change, tensors=None):
    """What is at ``path`` with other settings (changed in place) or tensors, and checksums that hold."""
    at = path.with_suffix(".json")
    settings = json.loads(at.read_text())
    del settings["seal"]
    if tensors is not None:
        files.save(path, tensors, {})
        settings["sha256"] = files.digest(tensors)
    found = change(settings)
    settings = settings if found is None else found
    at.write_text(json.dumps(settings | {"seal": checkpoints._seal(settings)}))


def put(*keys):
    """Sets an entry of nested dictionaries; without a value it goes."""
    *way, last, value = keys

    def change(settings):
        for key in way:
            settings = settings[key]
        settings[last] = value

    return change


def without(*keys):
    *way, last = keys

    def change(settings):
        for key in way:
            settings = settings[key]
        del settings[last]

    return change


HUGE = 10**12
SETTINGS = [
    (without("architecture"), "architecture is None"),
    (without("data"), "data is None"),
    (without("sha256"), "sha256 is None"),
    (put("architecture", "resnet18"), "architecture is 'resnet18'"),
    (put("data", []), r"data is \[\]"),
    (without("architecture", "width"), r"architecture is \['name', 'size'\]"),
    (put("architecture", "pretrained", True), r"architecture is \['name', 'pretrained', 'size', 'width'\]"),
    (put("architecture", "name", 3), "architecture name is 3"),
    (put("architecture", "name", "no_such"), "no network can be built as it says, .*unknown architecture"),
    (put("architecture", "name", "vit"), "class_token is .* in the network and missing in the file"),
    (put("architecture", "width", "8"), "width is '8'"),
    (put("architecture", "width", 8.0), "width is 8.0"),
    (put("architecture", "width", True), "width is True"),
    (put("architecture", "width", -8), "width is -8"),
    (put("architecture", "width", HUGE), f"width is {HUGE}"),
    (put("architecture", "width", 100_000), r"conv1.weight is \(100000, .* in the network and \(8, "),
    (put("architecture", "size", 7), "size is 7"),
    (put("architecture", "size", "huge"), "no network can be built as it says, .*unknown ViT size"),
    (without("data", "name"), "data name is None"),
    (put("data", "classes", "0123456789"), "classes is '0123456789'"),
    (put("data", "classes", [*range(10)]), r"classes is \[0, 1"),
    (put("data", "classes", ["0"] * 10), r"classes is \['0', '0'"),
    (put("data", "classes", []), r"classes is \[\]"),
    (put("data", "classes", ["a", "b"]), r"fc.weight is \(2, .* in the network and \(10, "),
    (without("data", "channels"), r"channels and size is \[None, 8, 8\]"),
    (put("data", "channels", HUGE), "channels and size is"),
    (put("data", "size", 10**6), "channels and size is"),
    (put("data", "size", [8]), "channels and size is"),
    (put("data", "channels", 3), r"conv1.weight is \(8, 3, .* in the network and \(8, 1, "),
    (put("data", "mean", 0.5), "mean is 0.5"),
    (put("data", "std", ["1"]), r"std is \['1'\]"),
    (lambda settings: {"a": 1}, "architecture is None"),
]
OF_TOKENS = [
    (put("data", "tokens", HUGE), f"tokens is {HUGE}"),
    (put("data", "tokens", "2"), "tokens is '2'"),
    (put("data", "tokens", 50), "in the network and"),
    (put("data", "shape", [HUGE]), "shape is"),
    (put("data", "shape", [2**20, 2**20]), "shape is"),
    (put("data", "shape", 8), "shape is 8"),
    (put("data", "dtype", "torch.load"), "dtype is 'torch.load'"),
    (put("data", "dtype", 3), "dtype is 3"),
    (put("data", "dtype", "torch.float32"), "no network can be built as it says, .*takes tokens"),
]


@pytest.mark.parametrize(
    ("tokens", "change", "said"), [(False, *c) for c in SETTINGS] + [(True, *c) for c in OF_TOKENS]
)
def test_settings_that_nobody_saved(few, words, tmp_path, tokens, change, said):
    """Not a KeyError, and no memory for what is only claimed."""
    net, d = (GRU, words) if tokens else (NET, few)
    path = checkpoints.save(tmp_path / "net", networks.build(net, d), net, d)
    checkpoints.load(path, d)
    sealed_anew(path, change)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(files.CorruptFile, match=f"(?s)net.*{said}"):
        checkpoints.load(path)
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000
    )  # KiB; a plan of it costs some


def tensors_with(model, **changes) -> dict:
    state = dict(model.state_dict())
    for name, value in changes.items():
        name = name.replace("__", ".")
        if value is None:
            del state[name]
        else:
            state[name] = value
    return state


TENSORS = [
    (dict(fc__weight=None), "fc.weight is .* in the network and missing in the file"),
    (dict(more=torch.zeros(2)), r"more is missing in the network and \(2,\) in the file"),
    (dict(fc__bias=torch.zeros(11)), r"fc.bias is \(10,\) in the network and \(11,\)"),
    (dict(fc__bias=torch.zeros(10, dtype=torch.int64)), r"fc.bias is \(10,\) in .* \(10,\) of whole numbers"),
    (dict(fc__bias=torch.zeros(10, dtype=torch.complex64)), "of complex numbers in the file"),
    (dict(fc__bias=torch.full((10,), torch.nan)), "fc.bias has NaN or infinite numbers"),
    (dict(bn1__running_var=torch.full((8,), torch.inf)), "bn1.running_var has NaN or infinite numbers"),
]


@pytest.mark.parametrize(("changes", "said"), TENSORS)
def test_tensors_that_are_no_such_network(few, tmp_path, own_cache, changes, said):
    """A checkpoint of them is refused; in the cache they are no model, and it is trained again."""
    model = networks.build(NET, few)
    path = checkpoints.save(tmp_path / "net", model, NET, few)
    sealed_anew(path, lambda settings: None, tensors_with(model, **changes))
    with pytest.raises(files.CorruptFile, match=said):
        checkpoints.load(path, few)
    first = training.trained(few, NET, SHORT, show=False).state_dict()
    (cached,) = (own_cache / "models").iterdir()
    about = files.load(cached)[1]
    files.save(cached, tensors_with(model, **changes), about)
    again = training.trained(few, NET, SHORT, show=False).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert files.digest(files.load(cached)[0]) == files.digest(first)


@pytest.mark.parametrize("about", [[], "text", 3])
def test_settings_of_a_file_that_are_no_object(tmp_path, about):
    files.save(tmp_path / "x", {"a": torch.zeros(2)}, about)
    with pytest.raises(files.CorruptFile, match=r"is damaged .*no JSON object.*make it again"):
        files.load(tmp_path / "x")


def test_a_file_that_cannot_be_read_is_not_called_damaged(tmp_path):
    with pytest.raises(files.CorruptFile, match=r"cannot be read \(Is a directory\): check its permissions"):
        files.load(tmp_path)


HALFWAY = [
    lambda tensors, about: about.clear(),
    lambda tensors, about: tensors.clear(),
    lambda tensors, about: about.update(epochs="many"),
    lambda tensors, about: about.update(schedule={"step": "now"}),
    lambda tensors, about: about["schedule"].update(last_epoch="x"),
    lambda tensors, about: about["groups"][0].update(lr="fast"),
    lambda tensors, about: about.update(groups=[]),
    lambda tensors, about: tensors.pop("generator"),
    lambda tensors, about: tensors.update(torch=torch.zeros(3, dtype=torch.uint8)),
    lambda tensors, about: tensors.update({"model.fc.bias": torch.zeros(3)}),
    lambda tensors, about: tensors.update({"model.fc.bias": torch.full((10,), torch.nan)}),
    lambda tensors, about: tensors.update({"optimizer.0.momentum_buffer": torch.zeros(3)}),
    lambda tensors, about: tensors.update({"optimizer.999.momentum_buffer": torch.zeros(3)}),
    lambda tensors, about: tensors.update({"optimizer.x": torch.zeros(3)}),
]


@pytest.fixture(scope="module")
def copy_of_one_epoch(few, tmp_path_factory):
    """A sound copy of a training after its first epoch, and how the training ends."""
    path = tmp_path_factory.mktemp("halfway") / "net.halfway"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resume, "EVERY", 0.0)
        whole = networks.build(NET, few)
        training.fit(whole, few.train_x, few.train_y, SHORT, 0, show=False, halfway=resume.Halfway(path))
    assert files.load(path)[1]["epochs"] == 1
    return path, whole.state_dict()


@pytest.mark.parametrize("change", [None, *HALFWAY])
def test_a_copy_that_is_no_copy_changes_nothing(few, copy_of_one_epoch, tmp_path, change):
    """From the first epoch, to the same bits; a sound one (None) goes on from its own."""
    source, whole = copy_of_one_epoch
    tensors, about = files.load(source)
    if change:
        change(tensors, about)
    path, calls = tmp_path / "net.halfway", []
    files.save(path, tensors, about)
    model = networks.build(NET, few)
    training.fit(
        model, few.train_x, few.train_y, SHORT, 0, False, resume.Halfway(path), lambda *_: calls.append(1)
    )
    assert len(calls) == (2 if change else 1)
    assert all(torch.equal(value, whole[name]) for name, value in model.state_dict().items())


def test_other_data_are_still_refused_by_name(few, tmp_path):
    path = checkpoints.save(tmp_path / "net", networks.build(NET, few), NET, few)
    with pytest.raises(ValueError, match=r"with classes .*load the data set that it belongs to"):
        checkpoints.load(path, replace(few, classes=tuple("abcdefghij")))
