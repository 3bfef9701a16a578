"""Choosing alpha by agreement, against a loop over samples in float64; ties, edges, and what is refused."""

import copy
import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lfssd_nb import agreement, baselines, samples, unlearn
from lfssd_nb.dampening import dampen
from lfssd_nb.data import scenarios
from lfssd_nb.importance import sensitivity
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.redampen import Dial
from lfssd_nb.system.stopwatch import counting


@pytest.fixture(scope="module")
def net(tiny):
    """``tiny`` in float64: no sample is so near a border that another order of sums moves its answer."""
    return copy.deepcopy(tiny).double()


@pytest.fixture(scope="module")
def x(digits):
    return digits.train_x[:240].double()


@pytest.fixture(scope="module")
def three(digits):
    return (digits.train_y[:240] == 3).nonzero()[:, 0]


@pytest.fixture(scope="module")
def pair(net, x, three):
    return sensitivity(net, x[three]), sensitivity(net, x)


@pytest.fixture(scope="module")
def rest(x, three):
    keep = torch.ones(len(x), dtype=torch.bool)
    keep[three] = False
    return x[keep]


def slow(net, pair, forget, retain, lam, thresholds):
    """alpha by the definition, one sample at a time."""

    def answer(model, one):
        with torch.no_grad():
            return int(model(one[None])[0].argmax())

    def nearest(one, others):
        return min(range(len(others)), key=lambda k: float(((one - others[k]) ** 2).sum()))

    a_f, a_r = ([answer(net, one) for one in part] for part in (forget, retain))
    like = np.mean([a_r[nearest(one, retain)] == a for one, a in zip(forget, a_f, strict=True)])
    others = [[k for k in range(len(retain)) if k != j] for j in range(len(retain))]
    own = [a_r[others[j][nearest(one, retain[others[j]])]] == a_r[j] for j, one in enumerate(retain)]
    aim = min(1.0, like / np.mean(own))
    aim = 0.0 if aim < 0.5 else aim
    i_f, i_d = (torch.cat([v.flatten() for v in i.mean.values()]) for i in pair)
    top = float((i_f[i_d > 0] / i_d[i_d > 0]).max())
    alphas, losses = [], []
    for k in range(thresholds):
        alphas.append(max(1, lam) * (top / max(1, lam)) ** (k / (thresholds - 1)))
        new = net if k == thresholds - 1 else dampen(net, *pair, alphas[-1], lam)[0]
        kept, left = (
            np.mean([answer(new, one) == a for one, a in zip(part, before, strict=True)])
            for part, before in ((retain, a_r), (forget, a_f))
        )
        losses.append(1 - kept + abs(left - aim))
    tie, best, run = min(0.01, 1 / min(len(forget), len(retain))), [], []
    for k, loss in enumerate(losses):
        run = [*run, k] if loss <= min(losses) + tie + 1e-9 else []
        best = run if run and len(run) >= len(best) else best
    return alphas[best[len(best) // 2]], aim, losses


@pytest.mark.parametrize(("lam", "thresholds"), [(1.0, 8), (0.0, 5)])
def test_it_is_what_a_loop_over_samples_finds(net, pair, x, three, rest, lam, thresholds):
    forget, retain = x[three][:12], rest[:40]
    found = agreement.choose(Dial(net, *pair), forget, retain, lam, thresholds=thresholds)
    alpha, aim, losses = slow(net, pair, forget, retain, lam, thresholds)
    assert found.aim == pytest.approx(aim) and found.alpha == pytest.approx(alpha, rel=1e-5)
    assert found.curve.loss.to_numpy() == pytest.approx(np.array(losses))
    assert found.curve.loss.nunique() > 1, "a curve that is flat would agree with anything"


LOSSES = {
    "one best": ([0.5, 0.1, 0.5], 0.01, 1),
    "the middle": ([0.5, 0.1, 0.1, 0.1, 0.5], 0.01, 2),
    "of two the larger": ([0.5, 0.1, 0.1, 0.5], 0.01, 2),
    "within a tie": ([0.105, 0.1, 0.109, 0.2], 0.01, 1),
    "not beyond it": ([0.1, 0.1102, 0.5], 0.01, 0),
    "the longest run": ([0.1, 0.1, 0.1, 0.5, 0.1, 0.1], 0.01, 1),
    "of equal runs the last": ([0.1, 0.5, 0.1], 0.01, 2),
    "at the lower edge": ([0.0, 0.0, 0.0, 0.9], 0.01, 1),
    "at the upper edge": ([0.9, 0.9, 0.2], 0.01, 2),
    "flat": ([0.3] * 5, 0.01, 2),
}


@pytest.mark.parametrize("name", LOSSES)
def test_plateaus(name):
    losses, tie, expected = LOSSES[name]
    inside = np.flatnonzero(agreement.plateau(np.array(losses), tie))
    assert inside[len(inside) // 2] == expected
    assert (np.diff(inside) == 1).all()


def test_one_answer_more_or_less_costs_no_more_than_itself_and_a_tie():
    """Whatever a single answer moves: the choice with it is as good without it, but for that answer and a
    tie."""
    draw, m, n = np.random.default_rng(0), 40, 200
    for _ in range(200):
        counts = [np.sort(draw.integers(0, top + 1, 24)) for top in (n, m)]
        aim = float(draw.choice([0.0, 0.5, 1.0]))
        which, where = int(draw.integers(2)), int(draw.integers(24))
        choices = []
        for step in (0, 1):
            now = [c.copy() for c in counts]
            now[which][where] = np.clip(now[which][where] + step, 0, (n, m)[which])
            curve = pd.DataFrame({"kept": now[0] / n, "left": now[1] / m})
            choices.append(agreement.judged(curve, aim, min(m, n)))
        first, second = choices
        there = first.loss[second.chosen].item()
        assert there <= first.loss.min() + 0.01 + 2 / (n, m)[which] + 1e-8


def test_the_plateau_of_a_class_does_not_hang_on_one_answer():
    kept = np.r_[np.linspace(0.3, 0.99, 8), np.ones(16)]
    left = np.r_[np.zeros(16), np.linspace(0.1, 1, 8)]
    at = agreement.judged(pd.DataFrame({"kept": kept, "left": left}), 0.0, 140).chosen.idxmax()
    for where, (column, step) in itertools.product(range(24), (("kept", 1 / 1000), ("left", 1 / 140))):
        for sign in (-1, 1):
            moved = pd.DataFrame({"kept": kept, "left": left})
            moved.loc[where, column] = np.clip(moved.loc[where, column] + sign * step, 0, 1)
            assert abs(agreement.judged(moved, 0.0, 140).chosen.idxmax() - at) <= 1


def test_a_known_aim_and_the_range(net, pair, x, three, rest):
    dial = Dial(net, *pair)
    found = agreement.choose(dial, x[three], rest, aim=1.0)
    best = found.curve[found.curve.chosen].iloc[0]
    assert found.aim == 1 and best.loss <= 0.01 + 1e-9, (
        "nothing to forget: the original is there to be chosen"
    )
    assert found.curve.alpha.iloc[0] == 1 and found.curve.selected.iloc[-1] == 0
    assert found.curve.selected.is_monotonic_decreasing
    zero = agreement.choose(dial, x[three], rest, aim=0.0).curve
    score = zero.kept - zero.left
    assert score[zero.chosen].item() >= score.max() - 0.01 - 1e-9


def test_its_cost_is_what_goes_forward(net, pair, x, three, rest):
    dial = Dial(net, *pair)
    with counting(type(net)) as seen:
        found = agreement.choose(dial, x[three], rest)
    assert seen[0] == found.samples <= 25 * (len(three) + len(rest))


def test_repeats_are_equal_to_the_last_bit_and_a_turned_dial_is_no_other(net, pair, x, three, rest):
    dial = Dial(net, *pair)
    first = agreement.choose(dial, x[three], rest)
    dial.at(1.0, 0.0)
    again = agreement.choose(dial, x[three], rest)
    pd.testing.assert_frame_equal(first.curve, again.curve, check_exact=True)
    one, other = (unlearn.lfssd(net, x[three], x, alpha="agreement") for _ in range(2))
    assert one.alpha == other.alpha and one.choice.aim == other.choice.aim
    assert all(map(torch.equal, one.model.parameters(), other.model.parameters()))
    assert all(map(torch.equal, one.model.parameters(), dampen(net, *pair, one.alpha, 1.0)[0].parameters()))


@pytest.mark.parametrize("n", [1, 2])
def test_few_samples_of_d_f(net, x, n):
    done = unlearn.lfssd(net, x[:n], x, alpha="agreement")
    curve = done.choice.curve
    assert curve.loss[curve.chosen].item() <= curve.loss.min() + 0.01 + 1e-9
    assert set(curve.left * n) <= set(range(n + 1))


def test_a_loader_dictionaries_and_the_registry_choose_as_the_tensor_does(net, x, three, digits, tiny):
    expected = unlearn.lfssd(net, x[three], x, alpha="agreement")
    loaders = (DataLoader(TensorDataset(part), 50) for part in (x[three], x))
    assert unlearn.lfssd(net, *loaders, alpha="agreement").alpha == pytest.approx(expected.alpha, rel=1e-9)
    named = ({"a": part} for part in (x[three], x))
    how = dict(forward=lambda model, batch: model(batch["a"]), alpha="agreement")
    assert unlearn.lfssd(net, *named, **how).alpha == pytest.approx(expected.alpha, rel=1e-9)
    scenario = scenarios.forget_class(digits, 3)
    task = baselines.make(digits, scenario, Architecture("resnet18", 8))
    by_name = baselines.get("lfssd")(tiny, task, alpha="agreement")
    i_f, i_d = sensitivity(tiny, task.forget_x), sensitivity(tiny, task.full_x)
    alpha = agreement.chosen(tiny, i_f, i_d, task.forget_x, task.full_x).alpha
    by_hand = dampen(tiny, i_f, i_d, alpha, 1.0)[0]
    assert all(map(torch.allclose, by_name.parameters(), by_hand.parameters()))


def test_the_registry_knows_the_word_where_it_means_something():
    baselines.get("lfssd").check({"alpha": "agreement"})
    baselines.get("ssd").check({"alpha": "agreement"})
    for name, settings in (("fisher_forgetting", {"alpha": "agreement"}), ("lfssd", {"lam": "agreement"})):
        with pytest.raises(ValueError, match="got 'agreement'"):
            baselines.get(name).check(settings)


def test_ssd_and_batch_means_are_chosen_for_too(net, x, three, digits):
    y = digits.train_y[:240]
    done = unlearn.ssd(net, (x[three], y[three]), (x, y), alpha="agreement")
    assert done.choice.curve.selected.iloc[0] > 0 == done.choice.curve.selected.iloc[-1]
    batch = unlearn.lfssd(net, x[three], x, alpha="agreement", reduction="batch", batch_size=24)
    assert batch.alpha >= 1


def test_d_f_is_no_part_of_what_is_kept(x, three):
    like = torch.zeros(1, dtype=torch.float64)
    few, rest = samples.draw(x[three], x, len(three), len(x), like)
    drawn = torch.cat([batch.inputs for batch in rest])
    assert len(drawn) == len(x) - len(three)
    assert not (drawn.flatten(1)[:, None] == x[three].flatten(1)).all(-1).any()
    assert torch.equal(torch.cat([batch.inputs for batch in few]), x[three])


def test_tokens_are_compared_by_place():
    retain, forget = torch.tensor([[1, 2, 3], [9, 9, 9], [1, 2, 4]]), torch.tensor([[1, 2, 5], [9, 9, 1]])
    near = agreement._aim(forget, retain, torch.tensor([0, 7]), torch.tensor([0, 7, 0]))
    assert near == 1.0, "both are answered as their nearest, which differ in one place each"


def test_one_logit_and_no_number():
    class Ratio(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor([2.0]))

        def forward(self, x):
            return x * self.w

    batch = samples.Batch(torch.tensor([[1.0], [-1.0], [float("nan")]]))
    assert agreement._answers(Ratio(), [[batch], [batch]], None)[1].tolist() == [1, 0, -1]


REFUSED = {
    "a word": (lambda g: unlearn.lfssd(g["net"], g["f"], g["x"], "best"), "or 'agreement', got 'best'"),
    "importances": (
        lambda g: unlearn.lfssd(g["net"], *g["pair"], "agreement"), "needs samples of D_f and of D, and got"),
    "one importance": (
        lambda g: unlearn.lfssd(g["net"], g["f"], g["pair"][1], "agreement"), "needs samples of D_f"),
    "used up": (
        lambda g: agreement.chosen(g["net"], *g["pair"], g["x"][g["three"]], iter(g["x"][:0].split(60))),
        "D had 240 samples .* and has 0 now: pass what can be read twice .*, or give alpha"),
    "no D_f": (lambda g: agreement.choose(g["dial"], g["x"][:0], g["x"]), "got 0 and 240"),
    "no D_r": (lambda g: agreement.choose(g["dial"], g["f"], g["x"][:1]), "at least 2 of D_r, got 24 and 1"),
    "an aim": (lambda g: agreement.choose(g["dial"], g["f"], g["x"], aim=1.5), "aim from 0 to 1, got .* 1.5"),
    "one threshold": (lambda g: agreement.choose(g["dial"], g["f"], g["x"], thresholds=1), "2 thresholds"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, net, pair, x, three):
    given = dict(net=net, pair=pair, x=x, three=three, f=x[three][:24], dial=Dial(net, *pair))
    ask, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        ask(given)


def test_a_loader_that_augments_is_refused(net, pair, x, three):
    noisy = x + 0.001 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    with pytest.raises(ValueError, match="none of 240 samples of D is one of D_f: are they augmented"):
        agreement.chosen(net, *pair, x[three], noisy)
