"""The search for alpha and lambda: finds what a grid finds, repeats, and never sees gold."""

import math
import sys

import optuna
import pytest

from lfssd_nb import networks
from lfssd_nb.data import scenarios
from lfssd_nb.importance import sensitivity
from lfssd_nb.redampen import Dial
from lfssd_nb.sweeps import grids, optuna_search


@pytest.fixture(scope="module")
def problem(tiny, digits):
    three = scenarios.forget_class(digits, 3)
    dial = Dial(tiny, sensitivity(tiny, digits.train_x[three.forget]), sensitivity(tiny, digits.train_x))
    return dial, *grids.exam(digits, three), three.ceiling


def weigh(found):
    """Something with an optimum inside: half of the retained accuracy."""
    return abs(found["retained"] - 5.0)


def test_the_loss_is_damage_and_rest():
    loss = optuna_search.damage_and_rest({"retained": 98.0, "forgotten": 99.0}, aim=10.0)
    assert loss({"retained": 98.0, "forgotten": 10.0}) == 0
    assert loss({"retained": 99.0, "forgotten": 10.0}) == 0  # better than before is no damage
    assert loss({"retained": 90.0, "forgotten": 10.0}) == 8
    assert loss({"retained": 98.0, "forgotten": 4.0}) == 6  # too little is as far as too much
    assert loss({"retained": 90.0, "forgotten": 40.0}) == 38
    with pytest.raises(ValueError, match="retained accuracy is NaN"):
        loss({"retained": float("nan"), "forgotten": 40.0})


def test_a_search_is_as_good_as_a_grid(problem, tiny):
    dial, x, measure, unit = problem
    found = optuna_search.search(dial, x, measure, weigh, unit=unit, n_trials=40, seed=1, show=False)
    grid = [weigh(measure(networks.logits(dial.at(s * unit, lam), x)))
            for s in (0.02, 0.05, 0.1, 0.2, 0.5, 1) for lam in (0, 0.5, 1)]  # fmt: skip
    assert found.loss <= min(grid) + 0.5 and found.loss == found.trials.loss.min()
    assert weigh(measure(networks.logits(dial.at(found.alpha, found.lam), x))) == found.loss
    assert len(found.trials) == 40 and found.trials["all"].between(0.02, 1).all()
    assert found.trials.lam.between(0, 1).all() and found.trials["all"].nunique() > 10


def test_equal_seeds_find_equal_settings(problem):
    dial, x, measure, unit = problem
    one, same, other = (
        optuna_search.search(dial, x, measure, weigh, unit=unit, n_trials=6, seed=seed, show=False)
        for seed in (3, 3, 4)
    )
    assert one.trials.equals(same.trials) and not one.trials.equals(other.trials)


def test_groups_have_thresholds_of_their_own(problem):
    dial, x, measure, unit = problem
    groups = {"body": dial.names[:4], "retained": dial.names[4:]}  # named like a measure, too
    found = optuna_search.search(dial, x, measure, weigh, unit=unit, groups=groups, n_trials=8, show=False)
    best = found.trials.loc[found.trials.loss.idxmin()]
    assert found.alpha == {n: best[g] * unit for g, names in groups.items() for n in names}
    assert len(set(found.alpha.values())) == 2
    assert weigh(measure(networks.logits(dial.at(found.alpha, found.lam), x))) == found.loss


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("when", [{0}, {0, 1, 3}, {5}])
def test_a_loss_that_is_not_finite_is_never_the_best(bad, when, problem):
    dial, x, measure, unit = problem
    numbers = iter(range(6))

    def loss(found):
        return bad if next(numbers) in when else weigh(found)

    found = optuna_search.search(dial, x, measure, loss, unit=unit, n_trials=6, show=False)
    assert len(found.trials) == 6 and {*found.trials.index[~found.trials.loss.abs().lt(math.inf)]} == when
    finite = found.trials.loss[found.trials.loss.abs() < math.inf]
    assert found.loss == finite.min() and found.alpha == found.trials["all"][finite.idxmin()] * unit


def test_a_search_of_nothing_finite_is_refused(problem):
    dial, x, measure, unit = problem
    with pytest.raises(ValueError, match="none of 3 trials has a finite loss, the first has nan"):
        optuna_search.search(dial, x, measure, lambda _: math.nan, unit=unit, n_trials=3, show=False)


@pytest.mark.parametrize("level", [optuna.logging.DEBUG, optuna.logging.ERROR])
def test_optuna_is_as_talkative_as_before(level, problem):
    dial, x, measure, unit = problem
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(level)
    try:
        optuna_search.search(dial, x, measure, weigh, unit=unit, n_trials=1, show=False)
        assert optuna.logging.get_verbosity() == level
        with pytest.raises(ZeroDivisionError):
            optuna_search.search(dial, x, measure, lambda _: 1 / 0, unit=unit, n_trials=1, show=False)
        assert optuna.logging.get_verbosity() == level
    finally:
        optuna.logging.set_verbosity(before)


def test_a_search_says_what_is_wrong(problem, monkeypatch):
    dial, x, measure, unit = problem
    for wrong, match in (
        (dict(scales=(0.0, 1.0)), "scales must be"),
        (dict(lams=(1.0, 0.5)), "lams must be"),
        (dict(n_trials=0), "at least one trial"),
        (dict(groups={"lam": dial.names}), "cannot be called 'lam'"),
        (dict(groups={"head": dial.names[4:]}), "every parameter of the dial once"),
    ):
        with pytest.raises(ValueError, match=match):
            optuna_search.search(dial, x, measure, weigh, unit=unit, **wrong)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match="pip install"):
        optuna_search.search(dial, x, measure, weigh, unit=unit)
