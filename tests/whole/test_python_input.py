"""What a caller may get wrong in Python, a line a case: the error names the value and what to do."""

import math
import re

import numpy as np
import pytest
import torch
from torch import nn

from lfssd_nb import baselines, data, unlearn
from lfssd_nb.audit import attacks, divergence, how_accurate, lira, relearn
from lfssd_nb.dampening import dampen
from lfssd_nb.data import scenarios
from lfssd_nb.importance import fisher, sensitivity
from lfssd_nb.importance_sums import Importance
from lfssd_nb.lab import cases
from lfssd_nb.networks.architecture import Architecture, build
from lfssd_nb.networks.recipes import Recipe
from lfssd_nb.sweeps import grids

NAN, INF = math.nan, math.inf


class Given:
    """What the cases speak of: a model m, data d of 100 digits, its samples x and labels y, a scenario s of
    the threes, a task, importances f and full."""

    def __init__(self, tiny, few):
        self.m, self.d, self.x, self.y = tiny, few, few.train_x, few.train_y
        self.s = scenarios.forget_class(few, 3)
        self.f, self.full = sensitivity(tiny, self.x[self.s.forget]), sensitivity(tiny, self.x)
        self.z = how_accurate.outputs(tiny, few).train
        self.task = baselines.make(few, self.s, Architecture("resnet18", 8), Recipe(1), 0)

    def method(self, name, **settings):
        return baselines.METHODS[name](self.m, self.task, **settings)

    def sweep(self, **how):
        pairs = {"lfssd": (self.f, self.full)}
        return grids.grid(self.m, pairs, *grids.exam(self.d, self.s), show=False, **how)

    def importance(self, **changes):
        return Importance(**dict(sums=self.f.sums, count=3, samples=3, estimator="sensitivity",
                                 reduction="sample") | changes)  # fmt: skip


@pytest.fixture(scope="module")
def g(tiny, few):
    return Given(tiny, few)


CASES = {
    # the method
    "an unknown option": (lambda g: unlearn.lfssd(g.m, g.x[:9], g.x, alfa=2), "no setting alfa.*alpha"),
    "an unknown option, ready": (lambda g: unlearn.lfssd(g.m, g.f, g.full, alfa=2), "no setting alfa.*alpha"),
    "an option of the other method": (lambda g: unlearn.ssd(g.m, (g.x[:9], g.y[:9]), (g.x, g.y), squared=1),
                                      "no setting squared"),
    "one without effect": (lambda g: unlearn.lfssd(g.m, g.f, g.full, batch_size=4), "batch_size.*leave"),
    "D_f is D": (lambda g: unlearn.lfssd(g.m, g.x, g.x), "100.*nothing would be retained.*second"),
    "D_f is D, ready": (lambda g: unlearn.lfssd(g.m, g.full, g.full), "100.*nothing would be retained"),
    "labels for LFSSD": (lambda g: unlearn.lfssd(g.m, (g.x, g.y), g.x), "without labels"),
    "no labels for SSD": (lambda g: unlearn.ssd(g.m, g.x[:9], g.x), "needs as many labels; got none"),
    "alpha 0": (lambda g: unlearn.lfssd(g.m, g.f, g.full, 0), "alpha must be positive.*got 0"),
    "alpha a list": (lambda g: unlearn.lfssd(g.m, g.f, g.full, [3]), r"alpha must be a number, got \[3\]"),
    "lam a tensor": (lambda g: unlearn.lfssd(g.m, g.f, g.full, 3, torch.ones(1)), "must be a number.*item"),
    "alpha nan": (lambda g: unlearn.lfssd(g.m, g.f, g.full, NAN), "alpha must be positive.*nan"),
    "lambda below 0": (lambda g: unlearn.lfssd(g.m, g.f, g.full, 2, -1), "lambda.*-1"),
    "lambda infinite": (lambda g: dampen(g.m, g.f, g.full, 2, INF), "lambda.*inf"),
    "the two swapped": (lambda g: unlearn.lfssd(g.m, g.full, g.f), "not inside D"),
    "an importance of the other kind": (lambda g: unlearn.ssd(g.m, g.f, g.full), "fisher.*sensitivity"),
    "a rule without numbers": (lambda g: dampen(g.m, g.f, g.full, 2, rule=lambda f, d, a, lam: f * NAN),
                               "not finite.*one finite number"),
    "a filter without a match": (lambda g: unlearn.lfssd(g.m, g.x[:9], g.x, parameters="head*"), "head"),
    # importances
    "batches of none": (lambda g: sensitivity(g.m, g.x, batch_size=0), "batch_size.*0"),
    "a misspelt reduction": (lambda g: sensitivity(g.m, g.x, reduction="samples"), "samples.*'sample' or"),
    "a misspelt method": (lambda g: sensitivity(g.m, g.x, method="lopp"), "lopp"),
    "batch means without a size": (lambda g: sensitivity(g.m, g.x, reduction="batch"), "give batch_size"),
    "no samples": (lambda g: sensitivity(g.m, g.x[:0]), "no samples"),
    "labels that are probabilities": (lambda g: fisher(g.m, g.x, torch.full((100, 10), 0.1)), "label"),
    "labels of another set": (lambda g: fisher(g.m, g.x, g.y[:9]), "100.*9"),
    "a class that is not there": (lambda g: fisher(g.m, g.x, g.y + 10), "1[0-9]"),
    "NaN among the images": (lambda g: sensitivity(g.m, g.x * NAN), "NaN"),
    "an importance of nothing": (lambda g: g.importance(count=0), "count=0.*from 1 up"),
    "a count that is none": (lambda g: g.importance(count=2.5), "count=2.5.*whole"),
    "more batches than samples": (lambda g: g.importance(count=4, reduction="batch"), "no more batches"),
    "an importance by an unknown reduction": (lambda g: g.importance(reduction="mean"), "'mean'.*'sample'"),
    "sums of two kinds": (lambda g: g.f + g.importance(estimator="fisher"), "kinds"),
    "importances of another model": (lambda g: dampen(nn.Linear(2, 2), g.f, g.full, 2), "another model"),
    # scenarios and data
    "a position as a fraction": (lambda g: scenarios.from_index(g.d, [0.5, 1.7]), "0.5|float|whole"),
    "a negative position": (lambda g: scenarios.from_index(g.d, [-1]), "-1"),
    "a position outside": (lambda g: scenarios.from_index(g.d, [100]), "100"),
    "a position twice": (lambda g: scenarios.from_index(g.d, [7, 7]), "7|twice"),
    "no position": (lambda g: scenarios.from_index(g.d, []), "empty|least|no sample"),
    "all positions": (lambda g: scenarios.from_index(g.d, range(100)), "all|retain"),
    "an unknown class": (lambda g: scenarios.forget_class(g.d, "eleven"), "eleven"),
    "a class outside": (lambda g: scenarios.forget_class(g.d, 10), "10"),
    "an unknown kind": (lambda g: scenarios.make(g.d, "klass", 3), "klass.*class"),
    "random of none": (lambda g: scenarios.make(g.d, "random", 0), "0"),
    "an unknown data set": (lambda g: data.load("mnist"), "mnist.*digits"),
    "a subset of none": (lambda g: g.d.subset(0), "0"),
    "a subset that is too large": (lambda g: g.d.subset(101), "101.*100"),
    "labels without samples": (lambda g: data.Dataset.from_tensors(g.x, g.y[:9], g.x, g.y), "9"),
    "samples of two sizes": (lambda g: data.Dataset.from_tensors(g.x, g.y, g.x[..., :3], g.y), "alike"),
    "pictures of what is no image": (lambda g: data.Dataset.from_tensors(
        g.x.flatten(1), g.y, g.x.flatten(1), g.y).images(g.x.flatten(1)), "no images"),
    # networks
    "an unknown network": (lambda g: build(Architecture("resnet19"), g.d), "resnet19.*resnet18"),
    "a width of 0": (lambda g: build(Architecture("resnet18", 0), g.d), "0"),
    "an unknown size of ViT": (lambda g: build(Architecture("vit", size="huge"), g.d), "huge.*micro"),
    "no epochs": (lambda g: Recipe(epochs=0), "epochs.*0"),
    "a negative rate": (lambda g: Recipe(lr=-0.1), "lr.*-0.1"),
    "smoothing of 1": (lambda g: Recipe(label_smoothing=1.0), "label_smoothing.*1.0"),
    "an unknown optimizer": (lambda g: Recipe(optimizer="sdg"), "sdg"),
    "no gold to compare with": (lambda g: cases.Case("digits", Architecture("vit"), "class", "3", 0, (0,)),
                                "gold_seeds"),
    # other methods
    "an unknown method": (lambda g: baselines.get("skrub"), "skrub.*scrub"),
    "an unknown setting": (lambda g: g.method("finetune", epoch=3), "no setting epoch.*epochs"),
    "no epoch of finetuning": (lambda g: g.method("finetune", epochs=0), "epochs.*from 1 up, got 0.*5"),
    "epochs below 0": (lambda g: g.method("salun", epochs=-3), "epochs.*-3"),
    "a part of an epoch": (lambda g: g.method("random_labels", epochs=0.9), "epochs.*0.9"),
    "epochs as text": (lambda g: g.method("scrub", epochs="3"), "epochs.*'3'"),
    "a rate of 0": (lambda g: g.method("finetune", lr=0.0), "lr must be above 0, got 0.0"),
    "a rate of NaN": (lambda g: g.method("jit", lr=NAN), "lr.*nan"),
    "an infinite rate": (lambda g: g.method("l1_sparse", lr=INF), "lr.*inf"),
    "a share of 3": (lambda g: g.method("salun", share=3.0), "share.*at most 1, got 3.0"),
    "no growth": (lambda g: g.method("xalfssd", growth=1.0), "growth must be above 1, got 1.0"),
    "a negative temperature": (lambda g: g.method("scrub", temperature=-4.0), "temperature.*-4"),
    "no noise": (lambda g: g.method("jit", draws=0), "draws.*0"),
    "a negative number of samples": (lambda g: g.method("fisher_forgetting", n_samples=-5), "n_samples.*-5"),
    "a negative alpha of a method": (lambda g: g.method("lfssd", alpha=-2.0), "alpha.*-2"),
    "alpha and scale": (lambda g: g.method("lfssd", alpha=2.0, scale=0.1), "not both"),
    "an unknown order": (lambda g: g.method("lfssd", order="random"), "order.*random"),
    "ascent that ends in NaN": (lambda g: g.method("gradient_ascent", lr=1e38, epochs=2),
                                "gradient_ascent leaves .* lower lr|loss became"),
    # metrics
    "percent in place of a rate": (lambda g: attacks.auc_and_tpr([1.0], [0.0], fpr=50), "fpr.*50.*percent"),
    "no member": (lambda g: attacks.auc_and_tpr([], [0.0]), "at least one sample"),
    "scores that are NaN": (lambda g: attacks.auc_and_tpr([NAN], [0.0]), "NaN"),
    "less than no resampling": (lambda g: attacks.auc_and_tpr([1.0], [0.0], n_bootstrap=-1), "bootstrap.*-1"),
    "halves of one": (lambda g: attacks.held_out([1.0], [0.0]), "two samples a side"),
    "one label for all rows": (lambda g: how_accurate.percent_correct(g.z, g.y[:1]), r"\[100, 10\].*\[1\]"),
    "labels one-hot": (lambda g: how_accurate.percent_correct(g.z, torch.eye(10)[g.y]), "one label each"),
    "a label for all logits": (lambda g: attacks.stable_logit(g.z, g.y[:1]), r"\[100, 10\].*\[1\]"),
    "logits of two sets": (lambda g: divergence.js_divergence(g.z, g.z[:9]), "cannot be compared"),
    "odd shadows": (lambda g: lira.halves(100, 3), "pairs.*3"),
    "steps below 0": (lambda g: relearn.relearn_class(g.m, g.d, g.s, steps=-1), "steps.*-1"),
    "relearning backwards": (lambda g: relearn.relearn_class(g.m, g.d, g.s, lr=-1), "lr.*-1"),
    "relearning from too many": (lambda g: relearn.relearn_class(g.m, g.d, g.s, n=99), "99 images"),
    # sweeps
    "alphas and scales": (lambda g: g.sweep(alphas=(2,), scales=(0.1,)), "one of the two"),
    "neither": (lambda g: g.sweep(), "one of the two"),
    "an empty grid": (lambda g: g.sweep(alphas=()), "no cell"),
    "an alpha below 0": (lambda g: g.sweep(alphas=(2, -1)), "alpha.*-1"),
    "no network at a time": (lambda g: g.sweep(alphas=(2,), stack=0), "stack.*0"),
    "layers that are not there": (lambda g: g.sweep(alphas=(2,), layers={"head": ["fc.bias"]}), "fc.bias"),
    "an exam of nothing": (lambda g: grids.exam(g.d, g.s, slice(0, 0)), "leaves 0 retained"),
}  # fmt: skip


@pytest.mark.parametrize("what", CASES)
def test_refused_by_name_with_a_remedy(g, what):
    call, says = CASES[what]
    before = {name: value.clone() for name, value in g.m.state_dict().items()}
    with pytest.raises((ValueError, FloatingPointError)) as refused:
        call(g)
    assert re.search(says, str(refused.value), re.DOTALL), refused.value
    assert all(torch.equal(value, before[name]) for name, value in g.m.state_dict().items())


def test_nothing_changed_is_said_when_every_factor_is_1(g):
    half = Importance({k: 2 * v for k, v in g.full.sums.items()}, 100, 100, "sensitivity", "sample")
    with pytest.warns(UserWarning, match="changed nothing: .* selected .* take a smaller lam"):
        done = unlearn.lfssd(g.m, g.f, half, alpha=0.5, lam=1e9)
    assert done.selected_share > 0
    assert all(torch.equal(a, b) for a, b in zip(g.m.parameters(), done.model.parameters(), strict=True))


def test_a_method_that_ends_in_broken_weights_gives_no_network(g, monkeypatch):
    name = "one that breaks"

    def broken(model, task):
        new = nn.Linear(2, 2)
        new.weight.data[0, 0] = np.nan
        return new

    monkeypatch.setitem(baselines.METHODS, name, baselines.Method(
        name, name, broken, frozenset(), False, ("class",), "", False, {}))  # fmt: skip
    with pytest.raises(FloatingPointError, match=f"{name} leaves 'weight' not finite"):
        g.method(name)
