"""The rule on numbers made up for one mechanism each."""

import torch
from torch import nn

from lfssd_nb import dampening, importance


def net(values):
    model = nn.Linear(len(values), 1, bias=False)
    model.weight.data.copy_(torch.tensor([values]))
    return model


def run(theta, forget, full, alpha=2.0, lam=1.0):
    i_f, i_d = ({"weight": torch.tensor([v])} for v in (forget, full))
    new, report = dampening.dampen(net(theta), i_f, i_d, alpha, lam)
    return new.weight[0].tolist(), report.iloc[0]


def test_select_and_dampen():
    new, report = run([1.0, -1.0, 4.0], [8.0, 8.0, 1.0], [1.0, 1.0, 1.0])
    assert new == [0.125, -0.125, 4.0]  # the factor is clipped, not the product: negative weights shrink
    assert (report.selected, report["size"], report.mean_factor) == (2, 3, 0.125)
    assert report.share == 2 / 3


def test_a_tie_is_not_selected():
    new, report = run([1.0, 1.0], [2.0, 2.0000002], [1.0, 1.0], lam=0.0)
    assert new == [1.0, 0.0] and report.selected == 1


def test_no_weight_grows():
    assert run([1.0, -1.0], [3.0, 3.0], [1.0, 1.0], alpha=2.0, lam=100.0)[0] == [1.0, -1.0]


def test_lambda_zero_prunes():
    assert run([1.0, -2.0], [3.0, 1.0], [1.0, 1.0], lam=0.0)[0] == [0.0, -2.0]


def test_what_d_says_nothing_about_is_left_alone_and_counted():
    """The published code multiplies such a weight by 0 (I_D = 0 < I_f) or leaves it (both 0)."""
    new, report = run([1.0, 1.0, 1.0], [3.0, 0.0, 3.0], [0.0, 0.0, 1.0])
    assert new == [1.0, 1.0, float(torch.tensor(1.0) / 3)]
    assert (report.unseen, report.selected) == (1, 1)


def test_report_of_an_untouched_layer():
    _, report = run([1.0], [1.0], [1.0])
    assert (report.selected, report.share, report.mean_factor, report.unseen) == (0, 0, 1, 0)


def test_nothing_is_selected_from_the_ceiling_on(digits, tiny):
    x = digits.train_x[:60]
    i_f, i_d = importance.sensitivity(tiny, x[:15]), importance.sensitivity(tiny, x)
    shares = [dampening.dampen(tiny, i_f, i_d, 4.0 * a)[1]["selected"].sum() for a in (0.3, 0.9999, 1.0)]
    assert shares[0] > 0 and shares[-1] == 0


def test_a_forget_set_outside_d_is_refused_by_the_numbers_alone(digits, tiny):
    inside, outside = digits.train_x[:40], digits.train_x[40:80]
    i_d = importance.sensitivity(tiny, inside)
    dampening.dampen(tiny, importance.sensitivity(tiny, inside[:10]), i_d, 2.0)
    try:
        dampening.dampen(tiny, importance.sensitivity(tiny, 3 * outside[:35]), i_d, 2.0)
    except ValueError as error:
        assert "not inside D" in str(error)
    else:
        raise AssertionError("a forget set outside D was accepted")
