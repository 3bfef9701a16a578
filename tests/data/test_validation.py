"""Validation: a part of D that no network sees, in the place of the test set."""

import pytest
import torch

from lfssd_nb import data
from lfssd_nb.data import scenarios
from lfssd_nb.data.validation import validation


def rows(x):
    return {tuple(row) for row in x.flatten(1).tolist()}


@pytest.mark.parametrize("name", ["digits", "digits5"])
def test_both_sides_are_of_d_every_class_has_its_share_and_no_test_sample_is_left(name):
    whole = data.load(name, device="cpu")
    d = validation(whole, 0.1, seed=3)
    assert (len(d.train_y), len(d.test_y)) == (1257, 140)
    assert torch.equal(torch.cat([d.train_x, d.test_x]).sum(0), whole.train_x.sum(0)) or torch.allclose(
        torch.cat([d.train_x, d.test_x]).sum(0), whole.train_x.sum(0), rtol=1e-5
    )
    labels, finest = (whole.train_y, d.test_y) if whole.train_sub is None else (whole.train_sub, d.test_sub)
    expected = torch.bincount(labels) * 140 / 1397
    assert (torch.bincount(finest) - expected).abs().max() <= 1
    assert rows(d.test_x) <= rows(whole.train_x) and not rows(d.test_x) & (
        rows(whole.test_x) - rows(whole.train_x)
    )
    assert scenarios.make(d, "class", d.classes[3]).ceiling > 1


def test_the_seed_decides():
    whole = data.load("digits", device="cpu")
    one, same, other = (validation(whole, seed=seed).test_x for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)


@pytest.mark.parametrize("share", [0.0, 0.005, 0.995, 1.0, -1])
def test_a_share_that_leaves_a_side_without_classes_is_refused(share):
    with pytest.raises(ValueError, match=rf"share={share}.*choose one that gives"):
        validation(data.load("digits", device="cpu"), share)
