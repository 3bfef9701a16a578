"""A network that is not finite is neither cached nor measured."""

import copy
import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from lfssd_nb import audit, baselines, lab, networks, sweeps
from lfssd_nb.audit import attacks, divergence, lira, relearn
from lfssd_nb.data import scenarios
from lfssd_nb.explorer.trial import Trial
from lfssd_nb.importance import sensitivity
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.recipes import Recipe
from lfssd_nb.networks.training import fit, trained

MLP = Architecture("mlp", 8)


def broken(tiny, where="4.weight", value=math.nan) -> nn.Module:
    model = copy.deepcopy(tiny)
    model.state_dict()[where].view(-1)[0] = value
    return model


METRICS = {
    "logits": lambda m, d, s: networks.logits(m, d.test_x),
    "outputs": lambda m, d, s: audit.outputs(m, d),
    "accuracy": lambda m, d, s: audit.accuracy(m, d.test_x, d.test_y),
    "accuracies": lambda m, d, s: audit.accuracies(m, d, s),
    "per class": lambda m, d, s: audit.accuracy_per_class(m, d.test_x, d.test_y, 10),
    "entropy attack": lambda m, d, s: audit.entropy_attack(m, d, s),
    "evaluate": lambda m, d, s: lab.comparison.evaluate(m, d, s),
    "yardstick": lambda m, d, s: audit.yardstick([m], m, d, s),
    "probe": lambda m, d, s: audit.probe_auroc(m, d, s),
    "features": lambda m, d, s: audit.features(m, d.test_x),
    "relearn": lambda m, d, s: relearn.relearn_class(m, d, s, n=2, steps=1),
    "lira": lambda m, d, s: lira.phi(m, d, s.forget),
}


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize(
    ("where", "value"), [("4.weight", math.nan), ("4.bias", math.inf), ("1.running_mean", math.nan)]
)
def test_no_metric_of_a_network_that_is_not_finite(few, tiny, metric, where, value):
    said = (
        rf"not finite for \d+ of \d+ samples, .* {where} has NaN or infinite values: train or load it again"
    )
    with pytest.raises(FloatingPointError, match=said):
        metric(broken(tiny, where, value), few, scenarios.forget_class(few, 3))


def test_nor_in_a_sweep_or_the_explorer(few, tiny):
    """One network at a time, and several stacked."""
    scenario = scenarios.forget_class(few, 3)
    pair = {"LFSSD": (sensitivity(tiny, few.train_x[scenario.forget]), sensitivity(tiny, few.train_x))}
    bad = broken(tiny, "1.running_mean")
    for stack in (1, 4):
        with pytest.raises(FloatingPointError, match="outputs are not finite"):
            sweeps.grid(bad, pair, *sweeps.exam(few, scenario), alphas=[1, 2], lams=[0, 1], stack=stack)
    with pytest.raises(FloatingPointError, match="outputs are not finite"):
        Trial(bad, few, scenario, pair)


NAN = torch.full((4, 3), math.nan)
Y = torch.zeros(4, dtype=torch.int64)
OF_LOGITS = {
    "percent_correct": lambda z: audit.percent_correct(z, Y),
    "entropy": audit.entropy,
    "stable_logit": lambda z: attacks.stable_logit(z, Y),
    "scores": lambda z: attacks.scores(z, Y),
    "js": lambda z: divergence.js_divergence(torch.zeros(4, 3), z),
    "activation": lambda z: divergence.activation_distance(z, torch.zeros(4, 3)),
    "zrf": lambda z: divergence.zrf(z, torch.zeros(4, 3)),
    "measure": lambda z: sweeps.grids.correct(Y, all=slice(None))(z),
}


@pytest.mark.parametrize("metric", OF_LOGITS.values(), ids=OF_LOGITS)
def test_nor_of_logits_by_hand(metric):
    metric(torch.tensor([[0.0, -math.inf, 1.0]]).repeat(4, 1))  # a class that is masked
    for z in (NAN, torch.tensor([[0.0, math.inf, 1.0]]).repeat(4, 1), torch.full((4, 3), -math.inf)):
        with pytest.raises(FloatingPointError, match="not finite for 4 of 4 samples"):
            metric(z)


WRONG = [
    (lambda m, d: networks.logits(m, d.test_x.numpy()), "must be a tensor .*got ndarray: torch.as_tensor"),
    (lambda m, d: networks.logits(m, d.test_x.tolist()), "must be a tensor .*got list"),
    (lambda m, d: audit.accuracy(m, d.test_x.byte(), d.test_y), "bytes .*divide by 255 and normalise"),
    (lambda m, d: audit.accuracy(m, d.test_x, d.test_y[:1]), r"labels \[1\]: give tensors .* one label each"),
    (lambda m, d: audit.accuracy(m, d.test_x, d.test_y.numpy()), "labels ndarray: give tensors"),
    (lambda m, d: audit.accuracy_per_class(m, d.test_x, d.test_y[:1], 10), r"labels \[1\]: give tensors"),
    (lambda m, d: relearn.relearn_curve(m, d.test_x.numpy(), d.test_y, d.test_x, d.test_y), "x_few must be"),
    (lambda m, d: audit.refresh_norm_statistics(m, d.test_x.numpy()), "x must be a tensor"),
    (lambda m, d: fit(m, d.train_x.numpy(), d.train_y, Recipe(1), 0), "x must be a tensor"),
    (lambda m, d: fit(m, d.train_x, d.train_y.tolist(), Recipe(1), 0), "y must be a tensor"),
    (lambda m, d: attacks.stable_logit(NAN.nan_to_num(), Y[:1]), r"logits \[4, 3\] and labels \[1\]"),
    (lambda m, d: divergence.js_divergence(np.zeros((4, 3)), NAN), "cannot be compared: pass two"),
    (lambda m, d: attacks.auc_and_tpr([1.0], [0.0], fpr=50), "fpr is a rate from 0 to 1, got 50"),
    (lambda m, d: attacks.auc_and_tpr([1.0], [0.0], fpr=-0.1), "fpr is a rate from 0 to 1, got -0.1"),
]


@pytest.mark.parametrize(("call", "said"), WRONG)
def test_arrays_lists_and_bytes_in_the_place_of_tensors(few, tiny, call, said):
    with pytest.raises(ValueError, match=said):
        call(copy.deepcopy(tiny), few)


def test_data_that_are_not_finite_are_named_and_not_the_learning_rate(few, tiny):
    x = few.train_x.clone()
    x[3, 0, 0, :2] = math.nan
    with pytest.raises(FloatingPointError, match="2 numbers of its inputs are not finite: drop or fill them"):
        networks.logits(tiny, x)
    with pytest.raises(
        FloatingPointError, match="samples have NaN or infinite numbers, drop or fill"
    ) as caught:
        fit(copy.deepcopy(tiny), x, few.train_y, Recipe(1), 0, show=False)
    assert "lower lr" not in str(caught.value)


class LastStep(torch.optim.SGD):
    """Plain SGD whose last step, which no loss sees, puts a NaN into what it is told."""

    spoil = None

    def step(self, *args):
        super().step(*args)
        LastStep.left -= 1
        if not LastStep.left:
            LastStep.spoil(self)


@pytest.mark.parametrize("what", ["parameter", "buffer"])
def test_the_last_step_counts_and_nothing_is_cached(few, own_cache, monkeypatch, what):
    built = []

    def build(d):
        built.append(nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.BatchNorm1d(10)))
        return built[-1]

    LastStep.left = 2 * 4  # two epochs of four batches of 32 or less
    name = {"parameter": "1.weight", "buffer": "2.running_var"}[what]
    LastStep.spoil = lambda optimizer: built[0].state_dict()[name].view(-1)[:1].fill_(math.nan)
    monkeypatch.setattr(torch.optim, "SGD", LastStep)
    recipe = Recipe(2, batch_size=32)
    with pytest.raises(
        FloatingPointError, match=rf"training diverged \(loss .*{name} is not finite\): lower lr="
    ):
        trained(few, build, recipe, show=False)
    assert LastStep.left == 0 and not [path for path in own_cache.rglob("*") if path.is_file()]


def test_a_mask_that_is_infinite_on_purpose_may_stay(few):
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(64, 10)
            self.register_buffer("mask", torch.tensor([0.0] * 9 + [-math.inf]))

        def forward(self, x):
            return self.head(x.flatten(1)) + self.mask.clamp(min=-50)

    model = fit(Masked(), few.train_x, few.train_y, Recipe(1), 0, show=False)
    assert networks.logits(model, few.test_x).isfinite().all()


def test_a_comparison_leaves_out_what_is_not_finite_or_names_it(few, own_cache, monkeypatch):
    def nan_method(model, task):
        with torch.no_grad():
            next(model.parameters()).fill_(math.nan)
        return model

    monkeypatch.setattr(baselines.registry, "METHODS", baselines.METHODS)
    baselines.method("NaN", ["full"])(nan_method)
    scenario, recipe = scenarios.forget_class(few, 3), Recipe(1)
    try:
        with pytest.raises(FloatingPointError, match=r"nan_method leaves .* not finite"):
            lab.compare(few, scenario, MLP, ["nan_method"], recipe=recipe)
        monkeypatch.setattr(lab.comparison, "fitting", lambda *_: ["nan_method", "finetune"])
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            done = lab.compare(few, scenario, MLP, "all", recipe=recipe)
        assert any("left out: nan_method: nan_method leaves" in str(each.message) for each in said)
        assert list(done.table.index) == list(done.models) == ["original", "gold", "finetune"]
    finally:
        baselines.METHODS.pop("nan_method")
