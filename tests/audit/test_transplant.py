"""Grafted parameters and refreshed batch norm statistics."""

import copy

import pytest
import torch
from torch import nn

from lfssd_nb import networks
from lfssd_nb.audit import transplant


def test_a_graft_takes_what_is_named_and_nothing_else(tiny):
    changed = copy.deepcopy(tiny)
    with torch.no_grad():
        for p in changed.parameters():
            p.mul_(0.5)
        changed[1].running_mean.add_(7)
    new = transplant.graft(tiny, changed, lambda name: name.startswith("4."))
    assert torch.equal(new[4].weight, changed[4].weight) and torch.equal(new[4].bias, changed[4].bias)
    assert torch.equal(new[0].weight, tiny[0].weight)
    assert torch.equal(new[1].running_mean, tiny[1].running_mean)
    assert torch.equal(transplant.graft(tiny, changed, ["4.bias"])[4].weight, tiny[4].weight)
    assert transplant.norm_parameters(tiny) == {"1.weight", "1.bias"}
    with pytest.raises(ValueError, match=r"4\.scale"):
        transplant.graft(tiny, changed, ["4.scale"])


def test_refreshed_statistics_are_those_of_the_images(tiny, few):
    before = copy.deepcopy(tiny.state_dict())
    new = transplant.refresh_norm_statistics(tiny, few.train_x)
    seen = tiny[0](few.train_x)
    assert torch.allclose(new[1].running_mean, seen.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(new[1].running_var, seen.var((0, 2, 3)), rtol=1e-4)
    assert not any(module.training for module in new.modules()) and new[1].momentum == tiny[1].momentum
    assert all(torch.equal(value, before[key]) for key, value in tiny.state_dict().items())
    assert all(torch.equal(p, q) for p, q in zip(new.parameters(), tiny.parameters(), strict=True))


def test_a_refresh_undoes_a_scaled_filter_and_not_a_scaled_norm(tiny, few):
    """Batch norm divides a channel's scale out again, up to its epsilon."""
    fresh = transplant.refresh_norm_statistics(tiny, few.train_x)
    before = networks.logits(fresh, few.test_x)
    for layer, undone in ((0, True), (1, False)):
        scaled = copy.deepcopy(fresh)
        with torch.no_grad():
            scaled[layer].weight.mul_(0.5)
        assert not torch.allclose(networks.logits(scaled, few.test_x), before, atol=1e-2)
        again = networks.logits(transplant.refresh_norm_statistics(scaled, few.train_x), few.test_x)
        assert torch.allclose(again, before, atol=1e-2) == undone


def test_statistics_need_images_and_a_batch_norm(tiny, few):
    for model, x in ((tiny, few.train_x[:1]), (nn.Linear(2, 2), torch.zeros(5, 2))):
        with pytest.raises(ValueError, match="two samples and a batch norm"):
            transplant.refresh_norm_statistics(model, x)
