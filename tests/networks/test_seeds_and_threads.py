"""Other training seeds in one place, and one network whatever the number of threads."""

import os
from dataclasses import replace

import pytest
import torch

from lfssd_nb import cli, data, networks
from lfssd_nb.course import page
from lfssd_nb.data import scenarios
from lfssd_nb.lab import cases, jobs, records
from lfssd_nb.lab.cases import Case, Run
from lfssd_nb.networks import training
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.recipes import Recipe
from lfssd_nb.networks.seeds import VARIABLE, training_seed
from lfssd_nb.system import device as devices

SMALL, SHORT = Architecture("resnet18", width=8), Recipe(epochs=1, batch_size=32)
WIDE = Architecture("resnet18", width=16)  # channels_last, as in the notebooks


@pytest.fixture(autouse=True)
def as_it_is(monkeypatch):
    """Neither variable is set, and torch's threads are afterwards what they were."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("LFSSD_THREADS", raising=False)
    with devices.threads(torch.get_num_threads()):
        yield


def bits(model) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def files(cache) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (cache / "models").iterdir()}


def weights_and_name(cache) -> tuple[str, dict[str, bytes]]:
    """The one cached network; its file holds the seconds of its training, too."""
    (path,) = (cache / "models").iterdir()
    return path.name, {name: v.numpy().tobytes() for name, v in training.files.load(path)[0].items()}


# ---- seeds


@pytest.mark.parametrize(("offset", "seed"), [(None, 2), ("", 2), ("0", 2), ("5", 7), ("-1", 1)])
def test_every_training_seed_is_shifted(monkeypatch, offset, seed):
    if offset is not None:
        monkeypatch.setenv(VARIABLE, offset)
    assert training_seed(2) == seed


@pytest.mark.parametrize("offset", ["1e3", "1.0", "a thousand", "1000;", "0x10"])
def test_an_offset_that_is_no_integer_is_refused_before_any_training(monkeypatch, few, own_cache, offset):
    monkeypatch.setenv(VARIABLE, offset)
    message = f"LFSSD_SEED_OFFSET must be an integer, got '{offset}'"
    for call in (
        lambda: networks.build(SMALL, few),
        lambda: training.trained(few, SMALL, SHORT),
        lambda: training.fit(None, few.train_x, few.train_y, SHORT, 0),
        lambda: Run(Case("digits", SMALL, "class", "3", 0), "lfssd").key,
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert not own_cache.exists()


def test_a_bad_variable_on_the_command_line_is_one_line(monkeypatch, capsys, own_cache):
    command = ["forget", "--subset", "100", "--width", "8", "--epochs", "1", "--device", "cpu", "--no-gold"]
    for name, value in ((VARIABLE, "x"), ("LFSSD_THREADS", "0")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert cli.main(command) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"lfssd-nb: error: {name} must be") and said.count("\n") == 1
    assert not own_cache.exists()


def test_offset_5_and_seed_0_is_seed_5(monkeypatch, few, tmp_path):
    """The same name of the same file; initial weights, order and augmentation are those of seed 5."""
    found = []
    for offset, seed in (("5", 0), ("0", 5), ("3", 2), ("0", 0)):
        cache = tmp_path / f"{offset} {seed}"
        monkeypatch.setenv("LFSSD_CACHE", str(cache))
        monkeypatch.setenv(VARIABLE, offset)
        training.trained(few, SMALL, SHORT, seed, show=False)
        found.append(weights_and_name(cache))
    assert found[0] == found[1] == found[2]
    assert "-5-" in found[0][0] and "-0-" in found[3][0]
    assert all(found[3][1][name] != value for name, value in found[0][1].items() if name.endswith("weight"))


def test_order_and_initial_weights_shift_each_by_itself(monkeypatch, few):
    start = networks.build(SMALL, few, 0)

    def fit(seed):
        net = networks.build(SMALL, few, 0)
        net.load_state_dict(start.state_dict())
        return bits(training.fit(net, few.train_x, few.train_y, SHORT, seed, show=False))

    plain, five, built = fit(0), fit(5), bits(networks.build(SMALL, few, 5))
    monkeypatch.setenv(VARIABLE, "5")
    assert fit(0) == five != plain and bits(networks.build(SMALL, few, 0)) == built != bits(start)


def test_forget_sets_and_splits_stay_as_they_are(monkeypatch, few):
    def chosen():
        digits = data.load("digits", device="cpu")
        forget = scenarios.forget_random(digits, 20, seed=1).forget
        return digits.train_x, digits.subset(100).train_x, forget

    before = chosen()
    monkeypatch.setenv(VARIABLE, "1000")
    assert all(torch.equal(a, b) for a, b in zip(before, chosen(), strict=True))


def test_records_are_named_and_labelled_by_the_seeds_that_were_used(monkeypatch):
    case = Case("digits", SMALL, "class", "3", 0, gold_seeds=(0, 1))
    shifted = replace(case, seed=1000, gold_seeds=(1000, 1001))
    plain, expected = Run(case, "lfssd").key, Run(shifted, "lfssd").key
    columns = shifted.columns
    assert case.columns["seed"] == 0 and plain != expected
    monkeypatch.setenv(VARIABLE, "1000")
    assert Run(case, "lfssd").key == expected and case.columns == columns and columns["seed"] == 1000
    monkeypatch.setenv(VARIABLE, "0")
    assert Run(case, "lfssd").key == plain


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_jobs_get_the_variables_of_their_caller(monkeypatch, n_jobs):
    names = (VARIABLE, "LFSSD_THREADS")
    each = [(name,) for name in names]
    assert jobs.in_parallel(os.environ.get, each, n_jobs, "jobs") == [None, None]
    monkeypatch.setenv(VARIABLE, "1000")
    monkeypatch.setenv("LFSSD_THREADS", "2")
    assert jobs.in_parallel(os.environ.get, each, n_jobs, "jobs") == ["1000", "2"]


def test_a_run_with_an_offset_is_the_run_of_those_seeds(monkeypatch, small, tmp_path):
    monkeypatch.setenv("LFSSD_DATA", str(small))
    cases._dataset.cache_clear()
    tables = []
    for offset, seed in ((0, 7), (5, 2)):
        monkeypatch.setenv("LFSSD_CACHE", str(tmp_path / f"cache {offset}"))
        monkeypatch.setenv(VARIABLE, str(offset))
        case = Case("cifar10", SMALL, "class", "3", seed, (seed, seed + 1), recipe=SHORT)
        tables.append(records.run([Run(case, "lfssd")], tmp_path / str(offset), n_jobs=1))
    cases._dataset.cache_clear()
    one, other = (table.drop(columns="seconds").to_dict("records") for table in tables)
    assert one == other and one[0]["seed"] == 7
    names = [{path.name for path in (tmp_path / f"cache {k}" / "models").iterdir()} for k in (0, 5)]
    assert names[0] == names[1] and len(names[0]) == 3


# ---- threads


@pytest.mark.parametrize("wanted", ["0", "-1", "1.5", "two", "1e1", " "])
def test_a_number_of_threads_that_is_none_is_refused(monkeypatch, few, own_cache, wanted):
    monkeypatch.setenv("LFSSD_THREADS", wanted)
    for call in (devices.page_threads, page.begin, lambda: training.trained(few, SMALL, SHORT)):
        with pytest.raises(ValueError, match=f"LFSSD_THREADS must be a positive integer, got '{wanted}'"):
            call()
    assert not own_cache.exists()


def test_pages_take_one_thread_unless_told_otherwise(monkeypatch):
    torch.set_num_threads(2)
    page.begin()
    assert torch.get_num_threads() == devices.page_threads() == 1
    monkeypatch.setenv("LFSSD_THREADS", "2")
    page.begin()
    assert torch.get_num_threads() == devices.page_threads() == 2


def test_small_samples_train_with_the_threads_of_pages_and_large_ones_with_those_of_torch(monkeypatch):
    digit, photo = torch.zeros(5, 1, 8, 8), torch.zeros(5, 3, 32, 32)
    for own in (1, 2):
        with devices.threads(own):
            assert devices.training_threads(digit) == 1 and devices.training_threads(photo) == own
            monkeypatch.setenv("LFSSD_THREADS", "3")
            assert devices.training_threads(digit) == 3 and devices.training_threads(photo) == own
            monkeypatch.delenv("LFSSD_THREADS")


@pytest.mark.parametrize("architecture", [WIDE, Architecture("vit", width=16)], ids=lambda a: a.name)
def test_one_network_is_one_file_whatever_the_threads(few, tmp_path, monkeypatch, architecture):
    """The same bits, of batches large enough that torch would share them among its threads."""
    found, seen, forward = [], set(), torch.nn.Linear.forward
    monkeypatch.setattr(
        torch.nn.Linear, "forward", lambda *given: seen.add(torch.get_num_threads()) or forward(*given)
    )
    for own in (1, 2, 3):
        monkeypatch.setenv("LFSSD_CACHE", str(tmp_path / str(own)))
        with devices.threads(own):
            training.trained(few, architecture, Recipe(epochs=2, batch_size=64), show=False)
            assert torch.get_num_threads() == own  # put back
        found.append(weights_and_name(tmp_path / str(own)))
    assert found[0] == found[1] == found[2] and seen == {1}


def test_another_number_of_threads_is_another_file(few, own_cache, monkeypatch):
    training.trained(few, SMALL, SHORT, show=False)
    monkeypatch.setenv("LFSSD_THREADS", "2")
    training.trained(few, SMALL, SHORT, show=False)
    assert len(files(own_cache)) == 2


def test_data_are_the_same_bits_with_one_thread_and_with_two(tmp_path, monkeypatch, prepare):
    """Also mean and deviation, whose sums over all images round differently in another order."""
    prepare("cifar10")
    for name, root in (("digits", None), ("cifar10", tmp_path)):
        found = []
        for own in (1, 2):
            with devices.threads(own):
                d = data.load(name, root, "cpu")
            found.append([t.numpy().tobytes() for t in (d.train_x, d.test_x, d.show.mean, d.show.std)])
        assert found[0] == found[1]


def test_mean_and_deviation_are_those_of_float64(prepare, tmp_path):
    images = torch.from_numpy(prepare("cifar10")["train_images"]).double() / 255
    d = data.load("cifar10", tmp_path, "cpu")
    for found, expected in ((d.show.mean, images.mean((0, 1, 2))), (d.show.std, images.flatten(0, 2).std(0))):
        assert (found.flatten() - expected).abs().max() < 1e-7
