"""Exercises 09 and 13: a right answer passes, each usual slip gets the hint that names it."""

import pytest
import torch

from lfssd_nb.course import checks


def sizes(ratios, alphas):
    return [int((ratios > max(alpha, 1.0)).sum()) for alpha in alphas]


def test_a_right_answer_passes(capsys):
    checks.networks(lambda ratios, alphas: len(set(sizes(ratios, alphas))))
    assert capsys.readouterr().out == "networks: right\n"


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda r, a: len(a), "every alpha leaves the original"),
        (lambda r, a: len({int((r >= v).sum()) for v in a}), "strict"),
        (lambda r, a: len({int((r > v).sum()) for v in a}), "may be selected, but its factor"),
        (lambda r, a: len({s for s in sizes(r, a) if s}), "one network|leaves the original"),
        (lambda r, a: 1 + sum(p != q for p, q in zip(sizes(r, a), sizes(r, a)[1:], strict=False)), "order"),
        (lambda r, a: min(2, len(set(sizes(r, a)))), "four networks"),
    ],
)
def test_a_slip_gets_its_hint(wrong, hint):
    with pytest.raises(AssertionError, match=hint):
        checks.networks(wrong)


def batches(g, size):
    return torch.stack([part.mean(0).abs() for part in g.split(size)])


def test_the_published_importance_passes(capsys):
    checks.partial_batch(lambda g, size: batches(g, size).mean(0))
    assert capsys.readouterr().out == "partial_batch: right\n"


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda g, size: g.mean(0).abs(), "batches of one"),
        (lambda g, size: g.abs().mean(0), "average before taking"),
        (lambda g, size: sum(len(p) * p.mean(0).abs() for p in g.split(size)) / len(g), "like a full one"),
        (lambda g, size: batches(g, size).sum(0) / (len(g) // size), "three batches"),
    ],
)
def test_a_slip_in_the_published_importance_gets_its_hint(wrong, hint):
    with pytest.raises(AssertionError, match=hint):
        checks.partial_batch(wrong)
