"""The same numbers on a GPU as by float64 on a CPU. Without a GPU all of it runs on the CPU: a rehearsal."""

import copy

import pytest
import torch
from torch import nn

from lfssd_nb import dampening, data, unlearn
from lfssd_nb.audit import how_accurate
from lfssd_nb.data import scenarios
from lfssd_nb.importance import fisher, sensitivity
from lfssd_nb.networks import training
from lfssd_nb.networks.architecture import Architecture, build
from lfssd_nb.networks.recipes import Recipe
from lfssd_nb.sweeps import grids
from lfssd_nb.system import device as devices

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NETS = {"resnet18": Architecture("resnet18", 16), "vit": Architecture("vit")}
ESTIMATORS = pytest.mark.parametrize("estimator", ["sensitivity", "fisher"])
REDUCTIONS = pytest.mark.parametrize("reduction", ["sample", "batch"])


def apart(found: dict, expected: dict) -> float:
    """The largest relative distance of a tensor, in the Euclidean norm."""
    return max(
        float((found[name].detach().cpu().double() - value).norm() / value.norm())
        for name, value in expected.items()
        if value.norm() > 1e-9
    )


def importances(model, x, y, estimator, reduction):
    """Of the first third and of all."""
    parts = (x[: len(x) // 3], y[: len(x) // 3]), (x, y)
    how = dict(reduction=reduction, batch_size=16)
    if estimator == "fisher":
        return [fisher(model, *part, **how) for part in parts]
    return [sensitivity(model, part[0], **how) for part in parts]


@pytest.fixture(scope="module", params=NETS)
def pair(request, few):
    """A network with lived-in batch norms in float64 on the CPU, and in float32 on the device."""
    model = build(NETS[request.param], few)
    training.fit(
        model, few.train_x, few.train_y, Recipe(2, 3e-3 if request.param == "vit" else 0.1), 0, False
    )
    return copy.deepcopy(model).double(), model.to(DEVICE)


@ESTIMATORS
@REDUCTIONS
def test_importances_and_dampening_are_those_of_float64_on_a_cpu(pair, few, estimator, reduction):
    exact, model = pair
    x, y = few.train_x[:48], few.train_y[:48]
    expected = importances(exact, x.double(), y, estimator, reduction)
    found = importances(model, x.to(DEVICE), y.to(DEVICE), estimator, reduction)
    for mine, reference in zip(found, expected, strict=True):
        assert all(value.device.type == DEVICE for value in mine.sums.values())
        assert apart(mine.mean, reference.mean) < 1e-4
    twin = copy.deepcopy(model).double()
    fine = importances(twin, x.to(DEVICE).double(), y.to(DEVICE), estimator, reduction)
    assert apart(fine[1].mean, expected[1].mean) < 1e-9  # the same formula: what was left above is rounding
    new, report = dampening.dampen(twin, *fine, 1.5)
    reference, expected_report = dampening.dampen(exact, *expected, 1.5)
    # attention's key bias has no gradient but rounding, and is dampened by the ratio of two roundings
    weights = {k: p for k, p in reference.named_parameters() if not k.endswith("in_proj_bias")}
    assert apart(dict(new.named_parameters()), weights) < 1e-9
    counts, expected_counts = (each.set_index("parameter").selected for each in (report, expected_report))
    assert counts[[*weights]].equals(expected_counts[[*weights]]) and counts.sum() > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_as_exact_as_its_docstring_says(pair, few, dtype):
    exact, model = pair
    x = few.train_x[:32]
    expected = sensitivity(exact, x.double()).mean
    half = copy.deepcopy(model).to(dtype)
    found = sensitivity(half, x.to(DEVICE, dtype)).mean
    off = sum(float((found[k].cpu().double() - expected[k]).abs().sum()) for k in expected)
    assert off / sum(float(value.sum()) for value in expected.values()) < 0.05
    assert all(value.dtype == torch.float32 for value in found.values())


class Words(nn.Module):
    """A recurrent network: embedding, two layers, logits of the last step."""

    def __init__(self, kind):
        super().__init__()
        self.embed, self.rnn, self.fc = (
            nn.Embedding(11, 8),
            kind(8, 12, 2, batch_first=True),
            nn.Linear(12, 3),
        )

    def forward(self, x):
        return self.fc(self.rnn(self.embed(x))[0][:, -1])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_networks_in_eval_mode(kind):
    """cuDNN refuses their backward pass there."""
    torch.manual_seed(0)
    model = Words(kind).eval()
    x = torch.randint(0, 11, (6, 5))
    expected = {name: torch.zeros_like(p).double() for name, p in model.named_parameters()}
    exact = copy.deepcopy(model).double()
    for one in x:
        exact.zero_grad()
        exact(one[None]).square().sum().backward()
        for name, p in exact.named_parameters():
            expected[name] += p.grad.abs() / len(x)
    model.to(DEVICE)
    before = torch.backends.cudnn.enabled
    assert apart(sensitivity(model, x.to(DEVICE)).mean, expected) < 1e-5
    assert torch.backends.cudnn.enabled is before and not model.training


def test_a_forgotten_digit_is_forgotten_there_too(digits, own_cache):
    here = data.load("digits", device=DEVICE)
    model = training.trained(here, NETS["resnet18"], show=False)
    three = scenarios.forget_class(here, 3)
    done = unlearn.lfssd(model, here.train_x[three.forget], here.train_x)
    found = how_accurate.accuracies(done.model, here, three)
    assert how_accurate.accuracies(model, here, three)["forget_test_acc"] > 90
    assert found["forget_test_acc"] < 20 and found["retain_test_acc"] > 90


def test_stacked_cells_are_the_single_ones(digits):
    here = data.load("digits", device=DEVICE)
    model = build(NETS["resnet18"], here).eval()
    three = scenarios.forget_class(here, 3)
    pairs = {"lfssd": (sensitivity(model, here.train_x[three.forget]), sensitivity(model, here.train_x))}
    x, measure = grids.exam(here, three)
    one, many = (
        grids.grid(model, pairs, x, measure, scales=(0.1, 0.2, 0.3), stack=k, show=False) for k in (1, 3)
    )
    assert one.selected.equals(many.selected)
    assert (one.retained - many.retained).abs().max() <= 100 / 300  # a tie that rounding breaks


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU")
def test_another_stream_gives_the_same():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10)).to(DEVICE).eval()
    x = torch.randn(512, 64, device=DEVICE)
    expected, stream = sensitivity(model, x, batch_size=64).mean, torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        found = sensitivity(model, x, batch_size=64, offload="cpu").mean
    assert apart(found, {name: value.cpu().double() for name, value in expected.items()}) < 1e-6


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU")
def test_compiled_training_in_bfloat16_learns_what_float32_learns():
    assert devices.fast_bfloat16(torch.device(DEVICE))
    here = data.load("digits", device=DEVICE)
    got = []
    for recipe in (Recipe(6, compiled=True, bfloat16=True), Recipe(6, bfloat16=False)):
        for seed in range(2):  # the second network of a shape takes what the first compiled
            model = build(NETS["resnet18"], here, seed)
            training.fit(model, here.train_x, here.train_y, recipe, seed, show=False)
            got.append(how_accurate.accuracy(model, here.test_x, here.test_y))
    assert min(got) > 95 and max(got) - min(got) < 3
