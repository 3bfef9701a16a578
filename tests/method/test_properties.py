"""What holds whatever the importances are: merging and dampening, by hypothesis."""

import copy

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lfssd_nb.dampening import dampen, factor, selected
from lfssd_nb.importance_sums import Importance

SMALL = settings(max_examples=60, deadline=None, derandomize=True)
VALUES = st.floats(0, 1e4, width=32)
ALPHAS, LAMS = st.floats(1e-3, 1e3), st.floats(0, 10)
SHAPES = {"weight": (3, 2), "bias": (3,)}


@st.composite
def importances(draw):
    sums = {
        k: torch.tensor(draw(st.lists(VALUES, min_size=n, max_size=n)))
        for k, n in (("weight", 6), ("bias", 3))
    }
    sums = {k: v.view(SHAPES[k]) for k, v in sums.items()}
    n = draw(st.integers(1, 50))
    return Importance(sums, n, n, "sensitivity", "sample")


def linear(seed: int) -> nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Linear(2, 3)


@SMALL
@given(importances(), importances(), importances())
def test_merging_is_the_mean_of_all_samples_in_any_order(a, b, c):
    left, right, swapped = (a + b) + c, a + (b + c), c + b + a
    n = a.samples + b.samples + c.samples
    for name in SHAPES:
        exact = sum(part.sums[name].double() for part in (a, b, c)) / n
        for merged in (left, right, swapped):
            assert merged.samples == merged.count == n
            assert torch.allclose(merged.mean[name].double(), exact, rtol=1e-5, atol=1e-9)


@SMALL
@given(importances())
def test_what_is_saved_is_what_is_loaded(tmp_path_factory, a):
    path = tmp_path_factory.mktemp("i") / "i.safetensors"
    a.save(path)
    again = Importance.load(path)
    assert (again.count, again.samples, again.estimator, again.reduction) == (
        a.count,
        a.samples,
        a.estimator,
        a.reduction,
    )
    assert all(torch.equal(again.sums[k], a.sums[k]) for k in SHAPES)


@SMALL
@given(importances(), importances(), ALPHAS, LAMS, st.integers(0, 9))
def test_dampening_is_the_rule_and_nothing_else(f, rest, alpha, lam, seed):
    d = f + rest  # D_f is inside D
    model = linear(seed)
    before = copy.deepcopy(model.state_dict())
    new, report = dampen(model, f, d, alpha, lam)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    for name, p in new.named_parameters():
        i_f, i_d, old = f.mean[name].double(), d.mean[name].double(), before[name].double()
        ratio = torch.where(i_d > 0, i_f / i_d, 0)
        clear = (ratio - alpha).abs() > 1e-5 * (alpha + ratio)  # not a tie but for rounding
        by = torch.where(ratio > alpha, (lam * i_d / i_f).clamp(max=1), 1)
        assert torch.allclose(p.double()[clear], (old * by)[clear], rtol=1e-5, atol=1e-9)
        assert (p.abs() <= before[name].abs()).all() and (p * before[name] >= 0).all()
    assert report.selected.tolist() == [
        int(selected(f.of(k), d.of(k), alpha).sum()) for k in report.parameter
    ]


@SMALL
@given(importances(), importances(), ALPHAS, ALPHAS, LAMS)
def test_a_larger_alpha_selects_fewer_and_a_smaller_lambda_dampens_more(f, rest, one, other, lam):
    d, low, high = f + rest, min(one, other), max(one, other)
    for name in SHAPES:
        i_f, i_d = f.of(name), d.of(name)
        assert (selected(i_f, i_d, low) | ~selected(i_f, i_d, high)).all()
        assert (factor(i_f, i_d, low, lam / 2) <= factor(i_f, i_d, low, lam)).all()


@SMALL
@given(importances(), importances(), LAMS)
def test_at_the_ceiling_nothing_is_selected(f, rest, lam):
    d = f + rest
    ceiling = d.samples / f.samples * (1 + 1e-5)
    new, report = dampen(linear(0), f, d, ceiling, lam)
    assert report.selected.sum() == 0 and torch.equal(new.weight, linear(0).weight)
