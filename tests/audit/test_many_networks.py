"""What takes many networks: KLOM, distances between representations, residual knowledge."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from torch import nn

from lfssd_nb import networks
from lfssd_nb.audit import klom, representation, residual
from lfssd_nb.networks.architecture import Architecture


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


# ---- KLOM


def test_margins_are_the_log_odds_of_the_label():
    z, y = 3 * normal(4, 6, 5), torch.arange(6) % 5
    p = torch.softmax(z, 2)[:, torch.arange(6), y]
    assert torch.allclose(klom.margins(z, y), (p / (1 - p)).log())
    with pytest.raises(ValueError, match="no network"):
        klom.margins([], y)


def slow_klom(p, q, bins, clip, eps):
    """One image, one bin at a time."""
    p, q = np.clip(p, -clip, clip), np.clip(q, -clip, clip)
    low, high = min(p.min(), q.min()), max(p.max(), q.max())
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    p, q = (np.histogram(side, edges)[0] / len(side) for side in (p, q))
    q = np.array([max(b, eps) if a > 0 else b for a, b in zip(p, q, strict=True)])
    return sum(a * math.log(a / (b / q.sum())) for a, b in zip(p, q, strict=True) if a > 0)


@pytest.mark.parametrize(("n", "m", "bins", "spread"), [(10, 10, 20, 2), (7, 30, 5, 2), (40, 40, 20, 80)])
def test_klom_is_the_kl_of_two_histograms(n, m, bins, spread):
    """Images at which both kinds agree, lie apart, spread beyond the clip, and are constant."""
    p, q = spread * normal(n, 8, seed=1), spread * normal(m, 8, seed=2)
    q[:, 1] += 3 * spread
    p[:, 2], q[:, 2] = 4.0, 4.0
    found = klom.klom(p, q, bins)
    expected = [slow_klom(a.numpy(), b.numpy(), bins, 100, 1e-5) for a, b in zip(p.T, q.T, strict=True)]
    assert found.dtype == torch.float64
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64), atol=1e-9)
    assert found[2] == 0 and found.min() >= 0


def test_klom_of_disjoint_margins_is_the_largest_there_is():
    found = klom.klom(torch.full((10, 1), -50.0), torch.linspace(1, 2, 10)[:, None])
    assert float(found) == pytest.approx(math.log(1e5), abs=1e-4)


def test_klom_has_a_direction():
    """Unlearned networks that are where half of the retrained ones are: log 2, and much the other way."""
    half, whole = torch.tensor([[0.0]] * 10), torch.tensor([[0.0], [1.0]] * 5)
    assert float(klom.klom(half, whole)) == pytest.approx(math.log(2))
    assert float(klom.klom(whole, half)) > 4


def test_klom_does_not_mind_the_order_of_the_networks_and_a_common_scale():
    p, q = normal(10, 5, seed=3), normal(10, 5, seed=4)
    found = klom.klom(p, q)
    assert torch.equal(found, klom.klom(p.flip(0), q[torch.randperm(10)]))
    assert torch.allclose(found, klom.klom(4 * p, 4 * q))


def test_the_floor_sinks_with_the_number_of_networks_and_is_what_honest_methods_get():
    retrained = normal(400, 30, seed=5)
    small, large = (float(klom.floor(retrained, size, draws=10).mean()) for size in (10, 200))
    assert large < 0.5 < 2 < small
    honest = klom.klom(normal(10, 30, seed=6), retrained[:10])
    assert float(honest.mean()) == pytest.approx(small, rel=0.3)


def test_klom_refuses_what_it_cannot_count():
    good = normal(4, 3)
    with pytest.raises(ValueError, match=r"unlearned \[4, 3\]: give finite margins"):
        klom.klom(good * math.inf, good)
    with pytest.raises(ValueError, match="margins of 3 and of 2 images"):
        klom.klom(good, good[:, :2])
    with pytest.raises(ValueError, match="two samples of 3 need 6 retrained networks, got 4"):
        klom.floor(good, 3)


# ---- representations


def slow_cka(a, b):
    """From the two N x N matrices of inner products, centred."""
    k, m = (side.double() @ side.double().T for side in (a, b))
    centre = torch.eye(len(a), dtype=torch.float64) - 1 / len(a)
    k, m = centre @ k @ centre, centre @ m @ centre
    return float((k * m).sum() / (k * k).sum().sqrt() / (m * m).sum().sqrt())


def test_the_distance_is_one_minus_cka():
    a, b = normal(30, 7, seed=1) + 5, normal(30, 4, seed=2) + normal(30, 1, seed=1)
    assert representation.distance(a.float(), b) == pytest.approx(1 - slow_cka(a, b), abs=1e-6)
    assert representation.distance(a, a) == pytest.approx(0, abs=1e-12)
    assert representation.distance(a, b) == pytest.approx(representation.distance(b, a))


def test_the_distance_does_not_see_rotation_shift_and_scale_but_a_stretch():
    a, b = normal(40, 6, seed=1), normal(40, 6, seed=2)
    rotation = torch.from_numpy(orthogonal_procrustes(normal(9, 6, seed=3), normal(9, 6, seed=4))[0])
    found = representation.distance(a, b)
    assert representation.distance(3 * a @ rotation + 7, b) == pytest.approx(found, abs=1e-12)
    assert representation.distance(a[:, torch.randperm(6)], b) == pytest.approx(found, abs=1e-12)
    stretched = a * torch.tensor([100.0, 1, 1, 1, 1, 1])
    assert representation.distance(stretched, a) > 0.3


def test_a_network_is_compared_with_other_golds_at_its_last_features(few):
    nets = [networks.build(Architecture("resnet18", width=8), few, seed) for seed in (1, 2, 3)]
    x = few.train_x[:20]
    seen = []
    for net in nets:
        hook = net.fc.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        with torch.no_grad():
            net.eval()(x)
        hook.remove()
    expected = [1 - slow_cka(seen[0], other) for other in seen[1:]]
    assert representation.to_golds(nets[0], nets, x) == pytest.approx(np.mean(expected), abs=1e-4)
    with pytest.raises(ValueError, match="give at least one"):
        representation.to_golds(nets[0], nets[:1], x)


def test_representations_without_an_arrangement_are_refused():
    with pytest.raises(ValueError, match="the same features in one network"):
        representation.distance(torch.ones(5, 2), normal(5, 2))
    with pytest.raises(ValueError, match=r"\[5, 2\] and \[4, 2\]"):
        representation.distance(normal(5, 2), normal(4, 2))


# ---- residual knowledge


class Side(nn.Module):
    """Answers 1 where the first number is positive, else 0."""

    def forward(self, x):
        return torch.stack([torch.zeros(len(x)), x[:, 0]], 1)


def test_rates_are_those_of_a_uniform_direction():
    """From (-1, 0) a push of length s crosses x_0 = 0 with probability arccos(1 / s) / pi."""
    x, y = torch.tensor([[-1.0, 0.0]]).repeat(500, 1), torch.ones(500, dtype=torch.long)
    for size in (1.2, 2.0):
        found = residual.rates(Side(), x, y, size, draws=20)
        expected = math.acos(1 / size) / math.pi
        assert float(found.mean()) == pytest.approx(expected, abs=4 * 0.5 / math.sqrt(500 * 20))
    assert residual.rates(Side(), x, y, 0.9).max() == 0  # too short to cross


def test_a_push_is_relative_to_the_sample_and_of_no_size_leaves_it():
    x, y = torch.tensor([[-1.0, 0.0], [-10.0, 0.0], [2.0, 0.0]]), torch.tensor([1, 1, 1])
    assert residual.rates(Side(), x, y, 0.0).tolist() == [0, 0, 1]
    pairs = x[:2].repeat(300, 1)
    near, far = residual.rates(Side(), pairs, torch.ones(600, dtype=torch.long), 1.5).view(300, 2).mean(0)
    assert float(near) == pytest.approx(float(far), abs=0.05)


def test_all_networks_are_asked_the_same_and_the_seed_asks_something_else(few, tiny):
    x, y = few.train_x, few.train_y
    one, same, other = (residual.rates(tiny, x, y, 0.5, 5, seed) for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)
    loop = torch.zeros(len(x), dtype=torch.float64)
    rng = np.random.default_rng(0)
    for _ in range(5):
        u = torch.from_numpy(rng.standard_normal(x.shape)).float()
        for i, (sample, push) in enumerate(zip(x, u, strict=True)):
            moved = sample + 0.5 * sample.norm() * push / push.norm()
            loop[i] += int(networks.logits(tiny, moved[None]).argmax()) == int(y[i])
    assert float((one - loop / 5).abs().mean()) < 0.02  # a batch of one may round otherwise at a tie


@pytest.mark.parametrize(
    ("rate", "gold", "ratio", "difference"),
    [(0.3, 0.2, 1.5, 0.1), (0.2, 0.0, math.inf, 0.2), (0.0, 0.2, 0.0, -0.2), (0.0, 0.0, math.nan, 0.0)],
)
def test_residual_knowledge_is_a_ratio_and_a_difference(rate, gold, ratio, difference):
    found = residual.compare(torch.tensor([rate, rate]), torch.full((3, 2), gold))
    assert found.ratio == pytest.approx(ratio, nan_ok=True)
    assert found.difference == pytest.approx(difference)


def test_tokens_have_no_small_push(tiny):
    with pytest.raises(ValueError, match=r"torch\.int64 cannot be pushed a little"):
        residual.rates(tiny, torch.zeros(2, 3, dtype=torch.long), torch.zeros(2, dtype=torch.long), 0.1)
