"""Importance and dampening against an independent float64 loop over single samples."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lfssd_nb import dampening, importance, importance_scores, networks, per_sample, unlearn
from lfssd_nb.layer_rules import Reduction

ESTIMATORS = ("sensitivity", "fisher")
N, N_FORGET = 23, 7


def warmed(model):
    """Batch norm with running statistics that are not 0 and 1."""
    generator = torch.Generator().manual_seed(1)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1, generator=generator)
            layer.running_var.uniform_(0.5, 1.5, generator=generator)
            layer.weight.data.uniform_(0.5, 1.5, generator=generator)
    return model.eval()


@pytest.fixture(scope="module", params=["resnet18", "vit"])
def case(request, digits):
    model = warmed(networks.build(networks.Architecture(request.param, width=4), digits))
    return model, digits.train_x[:N], digits.train_y[:N]


def estimate(name, model, x, y, **options):
    if name == "sensitivity":
        return importance.sensitivity(model, x, **options)
    return importance.fisher(model, x, y, **options)


def reference(name, model, x, y, batch_size=1):
    """Means over batches of |d||f||^2| or (dCE)^2, in float64, with nothing but autograd."""
    model = copy.deepcopy(model).double().eval()
    total = {k: torch.zeros_like(p) for k, p in model.named_parameters()}
    x = x.double() if x.is_floating_point() else x
    batches = list(zip(x.split(batch_size), y.split(batch_size), strict=True))
    for xb, yb in batches:
        z = model(xb)
        score = (z**2).sum(1).mean() if name == "sensitivity" else F.cross_entropy(z, yb)
        grads = torch.autograd.grad(score, list(model.parameters()), allow_unused=True)
        for k, g in zip(total, grads, strict=True):
            if g is not None:
                total[k] += g.abs() if name == "sensitivity" else g**2
    return {k: v / len(batches) for k, v in total.items()}


def worst(found, expected):
    """Largest error of a tensor relative to that tensor's largest entry."""
    return max(
        float((found[k].double() - v).abs().max() / v.abs().max()) for k, v in expected.items() if v.any()
    )


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("batch_size", [1, 8])
def test_importance_is_that_of_the_float64_loop(case, name, batch_size):
    model, x, y = case
    options = dict(reduction="sample" if batch_size == 1 else "batch", batch_size=8)
    expected = reference(name, model, x, y, batch_size)
    assert worst(estimate(name, model, x, y, **options).mean, expected) < 1e-5
    doubled = copy.deepcopy(model).double()
    assert worst(estimate(name, doubled, x.double(), y, **options).mean, expected) < 1e-11


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("reduction", ["sample", "batch"])
def test_unlearning_is_that_of_the_float64_loop(case, name, reduction):
    """float64: every weight to 1e-9. float32: every tensor to 1e-5 of its norm, without the weights
    whose selection hangs on less than float32's rounding."""
    model, x, y = case
    batch_size, alpha, lam = (1, 1.5, 0.7) if reduction == "sample" else (8, 1.1, 0.7)
    i_f, i_d = (reference(name, model, x[:n], y[:n], batch_size) for n in (N_FORGET, N))
    method = unlearn.lfssd if name == "sensitivity" else unlearn.ssd
    for dtype in (torch.float64, torch.float32):
        own, xs = copy.deepcopy(model).to(dtype), x.to(dtype)
        sets = [(xs[:n], y[:n]) if name == "fisher" else xs[:n] for n in (N_FORGET, N)]
        new = method(own, *sets, alpha, lam, reduction=reduction, batch_size=8).model.state_dict()
        changed = 0
        for k, p in model.named_parameters():
            chosen = i_f[k] > alpha * i_d[k]
            by = torch.where(chosen, (lam * i_d[k] / i_f[k]).clamp(max=1), 1.0)
            expected = (p.double() * by).detach()
            sure = (i_f[k] / (alpha * i_d[k]) - 1).abs() > (1e-3 if dtype == torch.float32 else 1e-9)
            error = (new[k].double() - expected)[sure]
            if dtype == torch.float64:
                assert torch.allclose(error, torch.zeros_like(error), atol=1e-12)
            assert error.norm() <= 1e-5 * expected.norm()
            changed += int((chosen & sure).sum())
        assert changed > 100


@pytest.mark.parametrize("name", ESTIMATORS)
def test_batch_mean_reproduces_the_published_update_bit_for_bit(case, name):
    model, x, y = case
    published = copy.deepcopy(model)
    found = []
    for n in (N_FORGET, N):
        loader = DataLoader(TensorDataset(x[:n], y[:n]), batch_size=4)
        sums = {k: torch.zeros_like(p) for k, p in published.named_parameters()}
        for xb, yb in loader:
            published.zero_grad()
            out = published(xb)
            if name == "fisher":
                nn.CrossEntropyLoss()(out, yb).backward()
            else:
                torch.norm(out, p="fro", dim=1).pow(2).mean().backward()
            for k, p in published.named_parameters():
                sums[k] += p.grad.pow(2) if name == "fisher" else p.grad.abs()
        found.append({k: v / float(len(loader)) for k, v in sums.items()})
    with torch.no_grad():
        for k, p in published.named_parameters():
            i_f, i_d = found[0][k], found[1][k]
            at = torch.where(i_f > i_d.mul(1.1))
            p[at] = p[at].mul(torch.minimum(i_d.mul(0.9).div(i_f)[at], torch.tensor(1.0)))
    ours = [estimate(name, model, x[:n], y[:n], reduction="batch", batch_size=4) for n in (N_FORGET, N)]
    mine, report = dampening.dampen(model, *ours, 1.1, 0.9)
    for i, mean in zip(ours, found, strict=True):
        assert all(torch.equal(i.mean[k], v) for k, v in mean.items())
    assert all(torch.equal(p, q) for p, q in zip(mine.parameters(), published.parameters(), strict=True))
    assert report["selected"].sum() > 100


@pytest.mark.parametrize("name", ESTIMATORS)
def test_per_sample_does_not_depend_on_chunks_or_loader(case, name):
    model, x, y = case
    expected = estimate(name, model, x, y, batch_size=N).mean
    loader = DataLoader(TensorDataset(x, y), batch_size=10)  # the last batch holds 3
    for found in (estimate(name, model, x, y, batch_size=4), getattr(importance, name)(model, loader)):
        assert found.count == found.samples == N
        assert worst(found.mean, {k: v.double() for k, v in expected.items()}) < 1e-5


@pytest.mark.parametrize("reduction", ["sample", "batch"])
def test_importances_of_disjoint_sets_merge_and_survive_the_disk(case, reduction, tmp_path):
    model, x, _ = case
    options = dict(reduction=reduction, batch_size=8)
    whole = importance.sensitivity(model, x, **options)
    importance.sensitivity(model, x[:16], **options).save(tmp_path / "first.safetensors")
    first = importance.Importance.load(tmp_path / "first.safetensors")
    merged = first + importance.sensitivity(model, x[16:], **options)
    assert (merged.count, merged.samples) == (whole.count, whole.samples)
    assert worst(merged.mean, {k: v.double() for k, v in whole.mean.items()}) < 1e-6


def test_the_model_is_left_as_it_was(case):
    model, x, y = case
    model = copy.deepcopy(model).train()
    next(model.children()).eval()
    modes = [m.training for m in model.modules()]
    before = copy.deepcopy(model.state_dict())
    for reduction in ("sample", "batch"):
        importance.sensitivity(model, x, reduction=reduction, batch_size=8)
    unlearn.ssd(model, (x[:5], y[:5]), (x, y), alpha=1.5)
    assert modes == [m.training for m in model.modules()]
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())


def test_sensitivity_reads_no_labels(case):
    model, x, y = case
    loaders = [DataLoader(TensorDataset(x, labels), batch_size=8) for labels in (y, y.flip(0))]
    a, b = (importance.sensitivity(model, loader).mean for loader in loaders)
    assert all(torch.equal(a[k], b[k]) for k in a)


# ---- any nn.Module: layers with a rule, and the ways around them


class Odd(nn.Module):
    """Grouped, dilated, circular and strided convolutions, an in-place ReLU, a raw parameter, a
    layer used twice, tied weights and a layer without use."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(4, 1, 1) + 0.5)
        self.first = nn.Conv2d(1, 4, 3, padding="same", padding_mode="circular")
        self.grouped = nn.Conv2d(4, 8, 3, stride=2, padding=2, dilation=2, groups=2)
        self.group_norm = nn.GroupNorm(2, 8)
        self.point = nn.Conv2d(8, 8, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.twice = nn.Linear(32, 32)
        self.tied = nn.Linear(32, 32)
        self.head = nn.Linear(32, 5)
        self.unused = nn.Linear(3, 3)

    def forward(self, x):
        x = F.relu_(self.first(x)) * self.scale
        x = F.relu_(self.group_norm(self.grouped(x)))
        x = torch.tanh(self.norm(self.point(x))).flatten(1)
        x = torch.tanh(self.twice(torch.tanh(self.twice(x))))
        x = torch.tanh(F.linear(self.tied(x), self.tied.weight))
        return self.head(x)


class Tokens(nn.Module):
    """Embedding, layer norm over two dimensions, free and masked attention."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.norm = nn.LayerNorm((5, 8))
        self.free = nn.MultiheadAttention(8, 2, batch_first=True)
        self.causal = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 3)
        self.register_buffer("mask", torch.triu(torch.ones(5, 5, dtype=torch.bool), 1))

    def forward(self, x):
        x = self.norm(self.embed(x))
        x = x + self.free(x, x, x, need_weights=False)[0]
        x = x + self.causal(x, x, x, attn_mask=self.mask, need_weights=False)[0]
        return self.head(x.mean(1))


class Branching(nn.Module):
    """Control flow that depends on the data: neither rules for all layers nor vmap will do."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.3]))
        self.a, self.b = nn.Linear(6, 4), nn.Linear(6, 4)

    def forward(self, x):
        return torch.stack([(self.a if row.sum() > 0 else self.b)(row[None])[0] * self.scale for row in x])


def odd_inputs(kind):
    generator = torch.Generator().manual_seed(3)
    if kind is Tokens:
        return torch.randint(0, 11, (9, 5), generator=generator)
    shape = (9, 1, 8, 8) if kind is Odd else (9, 6)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("kind", [Odd, Tokens, Branching])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_any_module_agrees_with_plain_autograd(kind, name):
    torch.manual_seed(0)
    model, x = warmed(kind().double()), odd_inputs(kind)
    with torch.no_grad():
        y = torch.arange(9) % model(x).shape[1]
    expected = reference(name, model, x, y)
    for method in ("auto", "loop"):
        found = estimate(name, model, x, y, batch_size=4, method=method).mean
        assert worst(found, expected) < 1e-9
        assert all(not found[k].any() for k, v in expected.items() if not v.any())


def test_rules_cover_the_networks_of_the_series(case):
    model, x, _ = case
    assert per_sample.PerSample(model, importance_scores.squared_norm, (x,)).rest == []


def test_rules_cover_odd_modules_and_leave_alone_what_they_do_not_know():
    """What was left to the general way before there were rules for it, and what still is."""
    torch.manual_seed(0)
    plan = per_sample.PerSample(warmed(Odd().double()), importance_scores.squared_norm, (odd_inputs(Odd),))
    assert plan.rest == []
    plan = per_sample.PerSample(
        Branching().double(), importance_scores.squared_norm, (odd_inputs(Branching),)
    )
    assert {"scale", "a.weight", "b.weight"} <= set(plan.rest)


def test_a_parameter_that_the_first_samples_do_not_move_is_not_forgotten():
    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.gain = nn.Linear(4, 3), nn.Parameter(torch.ones(3))

        def forward(self, x):
            return self.a(x) * torch.where(x[:, :1] > 0, self.gain, 1.0)

    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)).abs()
    x[:2, 0] *= -1  # the first two samples bypass the gain
    torch.manual_seed(0)
    model = Gate().double()
    found = importance.sensitivity(model, x.double()).mean
    assert worst(found, reference("sensitivity", model, x, torch.zeros(8, dtype=torch.long))) < 1e-9
    assert found["gain"].min() > 0


def test_a_model_that_changes_its_ways_is_refused():
    """The first batch looks harmless, a later one calls the layer twice: no silent error."""

    class Late(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 4)

        def forward(self, x):
            return self.a(self.a(x)) if x.sum() > 100 else self.a(x)

    data = [torch.ones(2, 4), 100 * torch.ones(2, 4)]
    with pytest.raises(RuntimeError, match="method='vmap' or 'loop'"):
        importance.sensitivity(Late().eval(), data)


def test_frozen_parameters_have_no_importance_and_stay(case):
    model, x, _ = case
    model = copy.deepcopy(model)
    frozen = next(iter(dict(model.named_parameters())))
    model.get_parameter(frozen).requires_grad_(False)
    done = unlearn.lfssd(model, x[:5], x, alpha=1.2)
    assert frozen not in done.full.sums and frozen not in set(done.report["parameter"])
    assert torch.equal(done.model.get_parameter(frozen), model.get_parameter(frozen))


def test_memory_of_per_sample_gradients_is_bounded_by_the_budget(monkeypatch):
    sizes, bmm = [], torch.bmm
    monkeypatch.setattr(
        torch, "bmm", lambda a, b: sizes.append(len(a) * a.shape[1] * b.shape[2]) or bmm(a, b)
    )
    b, a = torch.randn(50, 8, 6), torch.randn(50, 9, 6)
    total = Reduction("abs", budget=300).outer(b, a)
    assert len(sizes) > 10 and max(sizes) <= 300
    assert torch.allclose(total, bmm(b, a.mT).abs().sum(0), rtol=1e-5)
