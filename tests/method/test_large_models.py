"""Large models: some parameters instead of all, half precision, and how much memory it takes."""

import copy
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from patience import patience
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import lfssd_nb
from lfssd_nb import networks
from lfssd_nb.dampening import dampen
from lfssd_nb.importance import Importance, fisher, sensitivity
from lfssd_nb.parameters import chosen
from lfssd_nb.unlearn import lfssd, ssd

REDUCTIONS = pytest.mark.parametrize("reduction", ["sample", "batch"])
HALVES = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])


@pytest.fixture(scope="module", params=["resnet18", "vit"])
def net(request, digits):
    return networks.build(networks.Architecture(request.param, width=4), digits).eval()


def blocks(net) -> list[str]:
    """Patterns for the last block and the head; one with a layer in the middle; one of all biases."""
    names = [name for name, _ in net.named_parameters()]
    if any("layer4" in name for name in names):
        return [["layer4.*", "fc.*"], ["layer2.0.*"], ["*.bias"]]
    return [["*encoder_layer_1.*", "heads.*"], ["*layer_0.self_attention.*"], ["*.bias", "class_token"]]


def state(model) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


# ---- some parameters


@REDUCTIONS
@pytest.mark.parametrize("which", range(3))
def test_filtered_importances_are_those_of_the_whole(net, digits, reduction, which):
    x, y, options = digits.train_x[:12], digits.train_y[:12], dict(reduction=reduction, batch_size=5)
    patterns = blocks(net)[which]
    for whole, some in (
        (sensitivity(net, x, **options), sensitivity(net, x, parameters=patterns, **options)),
        (fisher(net, x, y, **options), fisher(net, x, y, parameters=patterns, **options)),
    ):
        assert list(some.sums) == list(chosen(net, patterns)) and 0 < len(some.sums) < len(whole.sums)
        assert (some.count, some.samples) == (whole.count, whole.samples)
        for name, value in some.sums.items():
            assert torch.allclose(value, whole.sums[name], rtol=1e-5, atol=1e-6 * float(value.max()))
    assert all(p.requires_grad and p.grad is None for p in net.parameters())


@pytest.mark.parametrize("method", [lfssd, ssd])
def test_what_the_filter_leaves_out_stays_bit_for_bit(net, digits, method):
    x, y, patterns = digits.train_x[:40], digits.train_y[:40], blocks(net)[0]
    sets = (x[:9], x) if method is lfssd else ((x[:9], y[:9]), (x, y))
    before = state(net)
    done = method(net, *sets, 1.2, parameters=patterns)
    after, names = state(done.model), set(chosen(net, patterns))
    assert set(done.report["parameter"]) == names and done.report["size"].sum() < 2**20
    assert {name for name in before if before[name] != after[name]} <= names
    assert 0 < done.selected_share < 1 and after != before == state(net)


def test_names_patterns_and_predicates_choose_alike(net):
    bias = [name for name, _ in net.named_parameters() if name.endswith("bias")]
    for way in ("*bias", ["*bias"], bias, lambda name: name.endswith("bias"), [*bias, "*.bias"]):
        assert list(chosen(net, way)) == bias
    assert list(chosen(net)) == [name for name, _ in net.named_parameters()]


def test_a_frozen_parameter_is_not_chosen(model, digits):
    model[4].bias.requires_grad_(False)
    assert list(sensitivity(model, digits.train_x[:4], parameters="4.*").sums) == ["4.weight"]
    with pytest.raises(ValueError, match=r"'4\.bias' matches none of the 5 trainable"):
        chosen(model, "4.bias")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("layer9.*", r"pattern 'layer9\.\*' matches none of the 6 trainable.*0\.weight, .*4\.bias"),
        (["4.*", "head"], "pattern 'head' matches none"),
        ([], "list of patterns is empty; None takes all"),
        (lambda name: False, "predicate accepts none of the 6 parameters"),
    ],
)
def test_a_filter_without_a_match_is_refused_before_any_work(model, parameters, message):
    for work in (sensitivity, lambda *a, **k: lfssd(*a, a[1], **k), lambda *a, **k: ssd(*a, a[1], **k)):
        with pytest.raises(ValueError, match=message):
            work(model, ["never looked at"], parameters=parameters)


def test_importances_of_other_parameters_than_named_are_refused(model, digits):
    x = digits.train_x[:30]
    some = [sensitivity(model, s, parameters="4.*") for s in (x[:9], x)]
    whole = [sensitivity(model, s) for s in (x[:9], x)]
    before = state(model)
    for pair, parameters in ((some, None), (whole, "4.*"), ((some[0], whole[1]), "4.*"), (some, "1.*")):
        with pytest.raises(ValueError, match=r"parameter '.*absent.*the same parameters="):
            dampen(model, *pair, 1.5, parameters=parameters)
    with pytest.raises(ValueError, match="absent"):
        lfssd(model, x[:9], whole[1], 1.5, parameters="4.*")
    assert state(model) == before
    assert set(dampen(model, *some, 1.5, parameters="4.*")[1]["parameter"]) == {"4.weight", "4.bias"}


def test_the_flags_come_back_after_a_failure(model, digits):
    model[0].weight.requires_grad_(False)
    flags = [p.requires_grad for p in model.parameters()]
    model[4].weight.data[0] = float("nan")
    with pytest.raises(ValueError, match="NaN"):
        sensitivity(model, digits.train_x[:4], parameters="4.*")
    assert [p.requires_grad for p in model.parameters()] == flags


class Count(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = Counter()

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        self.calls[op.__name__.partition(".")[0]] += 1
        return op(*args, **(kwargs or {}))


@REDUCTIONS
def test_the_backward_pass_ends_at_the_first_chosen_layer(digits, reduction):
    model = networks.build(networks.Architecture("resnet18", width=4), digits).eval()
    seen = {}
    for patterns in (None, "layer4.*", "fc.*"):
        with Count() as count:
            options = dict(reduction=reduction, batch_size=4, parameters=patterns)
            sensitivity(model, [digits.train_x[:4]], **options)
        seen[patterns] = count.calls["convolution_backward"]
    assert seen["fc.*"] == 0 < seen["layer4.*"] < seen[None] / 3


@REDUCTIONS
def test_chosen_parameters_that_the_output_does_not_depend_on_have_importance_zero(model, digits, reduction):
    model[2].spare = nn.Linear(3, 3)
    for method in ("auto", "vmap", "loop"):
        options = dict(reduction=reduction, batch_size=4, method=method, parameters="2.spare.*")
        assert not any(v.any() for v in sensitivity(model, digits.train_x[:6], **options).sums.values())


# ---- bfloat16 and float16


@HALVES
@pytest.mark.parametrize("name", ["sensitivity", "fisher"])
def test_half_precision_importances_are_near_those_of_float64(net, digits, dtype, name):
    """What is left is the rounding of activations and gradients themselves: the model's own arithmetic.
    Errors are sums of absolute deviations over all weights, relative to the sum of importances."""
    half = copy.deepcopy(net).to(dtype)
    x, y = digits.train_x[:40].to(dtype), digits.train_y[:40]
    few = dict(sensitivity=lambda m, x: sensitivity(m, x), fisher=lambda m, x: fisher(m, x, y))[name]
    found, exact = few(half, x), few(copy.deepcopy(half).double(), x.double()).mean
    assert all(value.dtype == torch.float32 for value in found.sums.values())
    error = sum(float((found.mean[k].double() - v).abs().sum()) for k, v in exact.items())
    bound = 0.02 if dtype == torch.bfloat16 else 0.004
    assert error < bound * sum(float(v.sum()) for v in exact.values())


@HALVES
@pytest.mark.parametrize("method", ["auto", "vmap", "loop"])
def test_nothing_is_lost_when_many_equal_samples_add_up(dtype, method):
    """In bfloat16 a sum of ones stops growing at 256; in float16 one of 40 ends at 65504."""
    model = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Flatten()).to(dtype)
    model[0].weight.data.fill_(1.0)
    x = torch.ones(3000, 3, 2, dtype=dtype)  # three positions: f = (2, 2, 2), each sample's gradient 12
    found = sensitivity(model, x, method=method, batch_size=1500)
    assert found.sums["0.weight"].tolist() == [[36000.0, 36000.0]]
    found = sensitivity(model, 2 * x, method=method)
    assert found.sums["0.weight"].tolist() == [[144000.0, 144000.0]]


@REDUCTIONS
@pytest.mark.parametrize("method", ["auto", "vmap", "loop"])
@pytest.mark.parametrize("size", [2.0**-13, 1024.0])
def test_squares_leave_the_range_of_float16(reduction, method, size):
    model = nn.Linear(1, 2, bias=False).half()
    model.weight.data.zero_()  # p = 1/2: gradients of +- size / 2, whose squares float16 cannot hold
    x, y = torch.full((4, 1), size, dtype=torch.float16), torch.zeros(4, dtype=torch.long)
    found = fisher(model, x, y, reduction=reduction, batch_size=2, method=method).mean["weight"]
    assert found.flatten().tolist() == [(size / 2) ** 2] * 2


@HALVES
def test_half_precision_weights_are_rounded_once(dtype):
    generator = torch.Generator().manual_seed(0)
    model = nn.Linear(4000, 1, bias=False).to(dtype)
    i_d, i_f = (torch.rand(1, 4000, generator=generator) + low for low in (0.1, 0.2))
    before = model.weight.detach().clone()
    new = dampen(model, {"weight": i_f}, {"weight": i_d}, alpha=1.2, lam=0.9)[0].weight.detach()
    by = torch.where(i_f > 1.2 * i_d, (0.9 * i_d.double() / i_f).clamp(max=1), 1.0)
    assert new.dtype == dtype and 500 < int((by < 1).sum()) < 3500
    assert torch.equal(new[by == 1], before[by == 1])
    once = (before.double() * by).to(dtype)
    assert (new != once).sum() <= 2 < 100 < (before * by.to(dtype) != once).sum()
    assert torch.equal(before, model.weight.detach())


def test_half_precision_models_unlearn(net, digits):
    half = copy.deepcopy(net).bfloat16()
    done = lfssd(half, digits.train_x[:9].bfloat16(), digits.train_x[:40].bfloat16(), 1.5)
    assert {p.dtype for p in done.model.parameters()} == {torch.bfloat16} and done.selected_share > 0


# ---- memory


@REDUCTIONS
def test_offloaded_sums_are_the_same(net, digits, reduction):
    x, options = digits.train_x[:20], dict(reduction=reduction, batch_size=8)
    here, there = sensitivity(net, x, **options), sensitivity(net, x, offload="cpu", **options)
    assert all(torch.equal(v, there.sums[name]) for name, v in here.sums.items())


MEASURE = """
import json, sys
from pathlib import Path
import torch
from torch import nn
from lfssd_nb import importance, networks
from lfssd_nb.dampening import dampen
from lfssd_nb.importance import sensitivity
from lfssd_nb.unlearn import lfssd

def resident(which):
    status = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(row for row in status if row.startswith(which)).split()[1])

def copies(work):  # peak of resident memory above its level before, in copies of the parameters
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    work()
    return (resident("VmHWM") - before) / size

def net(width, depth):
    return nn.Sequential(*(layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.Tanh())))

torch.manual_seed(0)
model, x, small, found = net(1024, 14), torch.randn(8, 1024), net(8, 2), {}
size = sum(p.numel() * p.element_size() for p in model.parameters())
for how in ("sample", "batch"):
    o = dict(reduction=how, batch_size=4)
    lfssd(small, x[:4, :8], x[:, :8], 1.5, **o)  # whatever is set up once
    found[how, "importance"] = copies(lambda: sensitivity(model, x, **o))
    i_f, i_d = (sensitivity(model, s, **o) for s in (x[:4], x))
    found[how, "dampening"] = copies(lambda: dampen(model, i_f, i_d, 1.5))
    del i_f, i_d
    found[how, "all"] = copies(lambda: lfssd(model, x[:4], x, 1.5, **o))
found["sample", "last layer"] = copies(lambda: lfssd(model, x[:4], x, 1.5, parameters="26.*"))
importance.check_finite = lambda *_: None  # meta tensors have no values to check
for how in ("sample", "batch"):
    o = dict(reduction=how, batch_size=4, offload="meta")
    found[how, "elsewhere"] = copies(lambda: sensitivity(model, x, **o))
json.dump({" ".join(k): round(v, 2) for k, v in found.items()} | {"MB": size / 1e6}, sys.stdout)
"""


@pytest.fixture(scope="module")
def measured():
    """Copies of the parameters (14 linear layers, 59 MB of float32) that came on top of the model.

    Counted: the growth of the process's resident memory at its peak, whatever is in it: sums, gradients
    of the backward pass, temporaries, activations (of 8 samples, which are nothing here) and the new
    model; for one call, after the same calls on a small model have set up what is set up once. Memory
    that malloc keeps is not mistaken for use, because blocks above 64 KB are mapped one by one.
    """
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("measures with Linux's /proc")
    environment = os.environ | {
        "PYTHONPATH": str(Path(lfssd_nb.__file__).parent.parent),
        "MALLOC_MMAP_THRESHOLD_": "65536",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", MEASURE]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=patience(), check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("what", "copies"),
    [
        ("sample importance", 1),  # the sums
        ("batch importance", 2),  # sums and gradients
        ("sample dampening", 1),  # the new model
        ("batch dampening", 1),
        ("sample all", 3),  # the sums of D_f, those of D, the new model
        ("batch all", 3),
        ("sample last layer", 1 + 2 / 14),  # the new model, two importances of one of 14 layers
        ("sample elsewhere", 1),  # the plan, once
        ("batch elsewhere", 1),  # gradients
    ],
)
def test_copies_of_the_parameters(measured, what, copies):
    """The margin: six temporaries of the size of one of 14 layers."""
    assert 50 < measured["MB"] < 100
    assert copies - 0.1 < measured[what] < copies + 0.45, measured


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@REDUCTIONS
def test_offloading_leaves_one_copy_on_a_gpu(reduction):
    model = nn.Sequential(*(nn.Linear(1024, 1024) for _ in range(16))).cuda()
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    x, options = torch.randn(12, 1024).cuda(), dict(reduction=reduction, batch_size=4)
    expected = lfssd(model, x[:4], x, 1.5, **options)
    expected = {name: p.detach().cpu() for name, p in expected.model.named_parameters()}
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    done = lfssd(model, x[:4], x, 1.5, offload="cpu", **options)
    assert torch.cuda.max_memory_allocated() - before < 1.45 * size
    assert isinstance(done.full, Importance) and done.full.sums["0.weight"].device.type == "cpu"
    apart = 0  # a ratio that is alpha but for rounding (a GPU divides by multiplying) may fall on either side
    for name, p in done.model.named_parameters():
        ratio = done.forget.of(name) / done.full.of(name)
        other = ~torch.isclose(p.cpu(), expected[name])
        assert ((ratio[other] / 1.5 - 1).abs() < 1e-5).all()
        apart += int(other.sum())
    assert apart < 1e-5 * size
