"""Metrics with known answers: divergences, relearning, probes, and the ladder of membership attacks."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import nn

from lfssd_nb import networks
from lfssd_nb.audit import attacks, divergence, linear_probe, lira, membership, relearn
from lfssd_nb.data import scenarios
from lfssd_nb.networks import training
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.recipes import Recipe
from lfssd_nb.networks.seeds import training_seed

# ---- divergence


def test_js_divergence_of_known_distributions():
    def z(*p):
        return torch.tensor([p], dtype=torch.float64).log()

    half, sure, other = z(0.5, 0.5), z(1.0, 0.0), z(0.0, 1.0)  # log 0 = -inf: p is exactly 0
    assert float(divergence.js_divergence(half, half)) == 0
    assert float(divergence.js_divergence(sure, other)) == 1
    # m = (3/4, 1/4): KL(sure, m) = log2 4/3, KL(half, m) = log2(2/3) / 2 + log2(2) / 2
    expected = (math.log2(4 / 3) + (math.log2(2 / 3) + 1) / 2) / 2
    assert float(divergence.js_divergence(sure, half)) == pytest.approx(expected, abs=1e-12)
    assert float(divergence.js_divergence(torch.tensor([[2000.0, 0.0]]), half)) == pytest.approx(expected)


def test_js_divergence_is_symmetric_bounded_and_blind_to_added_constants():
    a, b = 30 * torch.randn(2, 500, 7, generator=torch.Generator().manual_seed(0))
    found = divergence.js_divergence(a, b)
    assert torch.equal(found, divergence.js_divergence(b, a)) and found.shape == (500,)
    assert float(found.min()) >= 0 and float(found.max()) <= 1
    assert torch.allclose(found, divergence.js_divergence(a.double() + 5, b), atol=1e-12)
    with pytest.raises(FloatingPointError, match="not finite for 500 of 500 samples"):
        divergence.js_divergence(a * math.nan, b)


@pytest.mark.parametrize("f", [divergence.js_divergence, divergence.activation_distance])
def test_divergences_refuse_what_would_broadcast(f):
    with pytest.raises(ValueError, match=r"\(5, 3\) and \(1, 3\)"):
        f(torch.zeros(5, 3), torch.zeros(1, 3))


def test_activation_distance_of_known_outputs():
    z = torch.tensor([[500.0, 0, 0], [0.0, 0, 0]])
    w = torch.tensor([[0.0, 500, 0], [7.0, 7, 7]])
    assert divergence.activation_distance(z, w) == pytest.approx(math.sqrt(2) / 2)


@pytest.mark.parametrize("n_classes", [2, 10, 100])
def test_zrf_does_not_depend_on_the_number_of_classes(n_classes):
    sure, other = (1000 * F.one_hot(torch.full((4,), k), n_classes).float() for k in (0, 1))
    assert divergence.zrf(sure, other) == pytest.approx(0) and divergence.zrf(sure, sure) == 1
    # two that share one class and differ in the other: JS is 1/2, whatever K
    pairs = [1000 * F.one_hot(torch.tensor([0, k]), n_classes).float() for k in (0, 1)]
    assert divergence.zrf(*pairs) == pytest.approx(0.5)


def test_zrf_is_higher_for_an_untrained_model_than_for_a_trained_one(few):
    architecture = Architecture("resnet18", width=8)
    random, other = (networks.build(architecture, few, seed) for seed in (98, 99))
    random.train(), other.train()
    model = training.trained(few, architecture, Recipe(epochs=10))  # of 3 epochs some know nothing yet
    z_random, z_other, z = (networks.logits(m, few.train_x) for m in (random, other, model))
    assert torch.equal(z_random, networks.logits(random, few.train_x.flip(0)).flip(0))  # eval mode
    assert divergence.zrf(z_other, z_random) > 0.98 > 0.9 > divergence.zrf(z, z_random)


def test_tow_is_a_product_of_gaps():
    gold = {"forget_train_acc": 0, "retain_train_acc": 100, "retain_test_acc": 98, "forget_test_acc": 0}
    row = {"forget_train_acc": 50, "retain_train_acc": 90, "retain_test_acc": 78, "forget_test_acc": 99}
    assert divergence.tow(gold, gold) == 1
    assert divergence.tow(row, gold) == pytest.approx(0.5 * 0.9 * 0.8)
    assert divergence.tow(row, gold) == divergence.tow(gold, row)


# ---- relearning


def test_the_first_step_to_reach_a_threshold():
    curve = [0.0, 40.0, 50.0, 45.0, 90.0]
    found = [relearn.relearn_steps(curve, t) for t in (0, 45, 50, 51, 91)]
    assert found == [0, 2, 2, 4, math.inf]


def test_relearning_is_full_batch_gradient_descent():
    """One weight matrix, starting at zero: the first step is lr times the mean of (y - p) x^T."""
    model = nn.Linear(2, 2, bias=False)
    nn.init.zeros_(model.weight)
    x, y = torch.eye(2), torch.tensor([1, 1])
    far = torch.tensor([[1.0, -0.5]])  # after a step: z_1 - z_0 = lr (1 - 0.5) / 2 > 0
    assert relearn.relearn_curve(model, x, y, far, torch.tensor([1]), steps=2, lr=0.1) == [0, 100, 100]
    assert relearn.relearn_curve(model, x, y, -far, torch.tensor([1]), steps=1, lr=0.1) == [0, 0]
    assert not model.weight.any()


def test_relearning_leaves_the_model_its_modes_and_batch_norm_statistics_alone(few, model):
    before, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    for p in model.parameters():
        p.requires_grad_(False)
    scenario = scenarios.forget_class(few, 3)
    with torch.no_grad():
        curve = relearn.relearn_class(model, few, scenario, n=2, steps=40, lr=0.1)
    assert len(curve) == 41 and curve[0] == 0 and curve[-1] == 100
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes
    assert not any(p.requires_grad or p.grad is not None for p in model.parameters())


def test_relearning_keeps_the_batch_norm_statistics_of_d(few, model):
    """Without a learning rate nothing may move: in train mode the statistics of five images would."""
    x, y = few.train_x, few.train_y
    model.requires_grad_(True)
    assert len(set(relearn.relearn_curve(model, x[:5], y[:5], x, y, steps=20, lr=0.0))) == 1


def test_relearning_draws_its_images_from_the_forget_set_with_the_seed(few, tiny, monkeypatch):
    seen = []
    monkeypatch.setattr(relearn, "relearn_curve", lambda _, x, y, *rest: seen.append((x, y)))
    scenario = scenarios.forget_class(few, 3)
    for seed in (1, 1, 2):
        relearn.relearn_class(tiny, few, scenario, n=5, seed=seed)
    assert all(y.tolist() == [3] * 5 and len(x.unique(dim=0)) == 5 for x, y in seen)
    assert torch.equal(seen[0][0], seen[1][0]) and not torch.equal(seen[0][0], seen[2][0])


def test_a_hidden_class_returns_at_once_and_a_class_never_seen_does_not(digits):
    scenario, architecture = scenarios.forget_class(digits, 3), Architecture("resnet18", width=8)
    recipe = Recipe(epochs=3, weight_decay=5e-3)
    model, gold = (training.trained(digits, architecture, recipe, 0, i) for i in (None, scenario.retain))
    hidden = copy.deepcopy(model)
    with torch.no_grad():
        hidden.fc.weight[3], hidden.fc.bias[3] = 0, -1  # the class's row alone is gone
    curves = [relearn.relearn_class(m, digits, scenario) for m in (hidden, gold)]
    assert curves[0][0] == curves[1][0] == 0
    steps = [relearn.relearn_steps(curve, 80) for curve in curves]
    assert steps[0] < steps[1]


def test_relearning_and_probing_say_what_they_cannot_do(few, tiny):
    random, three = scenarios.forget_random(few, 10), scenarios.forget_class(few, 3)
    with pytest.raises(ValueError, match="random forgetting has no forgotten test images"):
        relearn.relearn_class(tiny, few, random)
    with pytest.raises(ValueError, match=r"cannot relearn from 99 images: D_f has \d+"):
        relearn.relearn_class(tiny, few, three, n=99)
    with pytest.raises(FloatingPointError, match=r"lower lr=1e\+30"):
        relearn.relearn_class(tiny, few, three, lr=1e30)
    with pytest.raises(ValueError, match="random forgetting has no forgotten test images"):
        linear_probe.probe_auroc(tiny, few, random)
    with pytest.raises(ValueError, match="n_labels=99 is not possible: choose 1 to"):
        linear_probe.probe_auroc(tiny, few, three, n_labels=99)
    with pytest.raises(ValueError, match=r"Flatten has no nn\.Linear"):
        linear_probe.features(nn.Flatten(), few.test_x)


# ---- probes


@pytest.mark.parametrize(("name", "size"), [("resnet18", 64), ("vit", 64)])
def test_features_are_what_the_last_layer_sees(few, name, size):
    model = networks.build(Architecture(name, width=8), few).train()
    found = linear_probe.features(model, few.test_x, batch_size=7)
    last = model.fc if name == "resnet18" else model.heads.head
    assert found.shape == (len(few.test_x), size) and not found.requires_grad
    assert torch.allclose(last(found), networks.logits(model, few.test_x), atol=1e-5)
    assert model.training and not last._forward_pre_hooks


class Marked(nn.Module):
    """Its one feature is the image's first pixel; the outputs are constant."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(1, 10)
        nn.init.zeros_(self.head.weight)

    def forward(self, x):
        return self.head(x[:, 0, 0, :1])


@pytest.mark.parametrize("n_labels", [None, 5])
def test_a_probe_finds_what_the_features_hold_and_nothing_else(digits, n_labels):
    scenario = scenarios.forget_class(digits, 3)
    noise = torch.Generator().manual_seed(0)
    found = []
    for marked in (True, False):
        marks = {}
        for split, y in (("train_x", digits.train_y), ("test_x", digits.test_y)):
            x = torch.randn(len(y), 1, 8, 8, generator=noise)
            x[:, 0, 0, 0] += 10.0 * (y == 3) * marked
            marks[split] = x
        found.append(linear_probe.probe_auroc(Marked(), replace(digits, **marks), scenario, n_labels))
    # one noise feature: the AUROC is chance, with a standard error of 0.05 for 40 against 360 images
    assert found[0] > 0.99 and abs(found[1] - 0.5) < 3 * 0.05


def test_a_probe_with_few_labels_repeats_with_its_seed(digits, tiny):
    scenario = scenarios.forget_class(digits, 3)
    one, same, other = (linear_probe.probe_auroc(tiny, digits, scenario, 5, seed) for seed in (1, 1, 2))
    assert one == same != other and linear_probe.probe_auroc(tiny, digits, scenario) > max(one, other)


# ---- scores and rankings


def test_stable_logit_is_the_log_odds_and_does_not_saturate():
    z = torch.randn(50, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = torch.arange(50) % 10
    p = torch.softmax(z, 1)[torch.arange(50), y]
    assert torch.allclose(attacks.stable_logit(z, y), (p / (1 - p)).log())
    far = torch.tensor([[500.0, 0.0, 0.0], [500.0, 0.0, 0.0]])
    expected = torch.tensor([500 - math.log(2), -500.0], dtype=torch.float64)
    assert torch.allclose(attacks.stable_logit(far, torch.tensor([0, 1])), expected)


def test_scores_rank_like_their_definitions_and_above_saturation():
    z = 3 * torch.randn(200, 10, generator=torch.Generator().manual_seed(0))
    y = torch.arange(200) % 10
    found = attacks.scores(z, y)
    assert torch.equal(found["entropy"], -membership.entropy(z))
    assert torch.allclose(found["loss"], -F.cross_entropy(z.double(), y, reduction="none"))
    assert torch.equal(found["confidence"].argsort(), torch.softmax(z.double(), 1).amax(1).argsort())
    sure = attacks.scores(torch.tensor([[50.0, 0.0], [60.0, 0.0]]), torch.tensor([0, 0]))  # p rounds to 1
    assert all(s[0] < s[1] for s in (sure["loss"], sure["confidence"]))


def test_auc_and_tpr_of_four_scores_by_hand():
    found = attacks.auc_and_tpr([3, 2, 2, 0], [2, 1, 1, -1], fpr=0.25, n_bootstrap=0)
    assert found.auc == (4 + 3.5 + 3.5 + 1) / 16
    assert found.tpr == 0.75  # calling 2 and above costs one of four non-members
    assert attacks.auc_and_tpr([3, 2, 2, 0], [2, 1, 1, -1], fpr=0.24, n_bootstrap=0).tpr == 0.25
    assert attacks.auc_and_tpr([3, 2, 2, 0], [2, 1, 1, -1], fpr=0.74, n_bootstrap=0).tpr == 0.75
    assert attacks.auc_and_tpr([3, 2, 2, 0], [2, 1, 1, -1], fpr=0.75, n_bootstrap=0).tpr == 1


@pytest.mark.parametrize("fpr", [0, 0.01, 0.07, 0.1, 0.29, 1])
def test_auc_is_scikit_learns_and_no_threshold_is_more_permissive_than_asked(fpr):
    rng = np.random.default_rng(0)
    members, others = rng.integers(0, 30, 150) + 5, rng.integers(0, 30, 100)  # with many ties
    found = attacks.auc_and_tpr(members, others, fpr, n_bootstrap=0)
    labels = np.repeat([1, 0], [150, 100])
    assert found.auc == pytest.approx(roc_auc_score(labels, np.concatenate([members, others])))
    allowed = [t for t in range(-1, 40) if (others >= t).sum() <= round(fpr * 100)]
    assert found.tpr == pytest.approx((members >= min(allowed)).mean())


def test_the_intervals_cover_chance_as_often_as_they_claim():
    """Members and non-members from one distribution: 95 % of the intervals hold an AUC of 0.5.

    Of 200 intervals 190 are expected to, with a standard deviation of 3.1; 178 is four of them below.
    """
    rng = np.random.default_rng(0)
    draws = [rng.normal(size=(2, 100)) for _ in range(200)]
    found = [attacks.auc_and_tpr(*pair, n_bootstrap=200, seed=s) for s, pair in enumerate(draws)]
    held = sum(f.auc_low <= 0.5 <= f.auc_high for f in found)
    assert 178 <= held < 200
    # the standard error of a Mann-Whitney AUC under chance is sqrt((m + n + 1) / (12 m n)) = 0.041
    widths = np.mean([f.auc_high - f.auc_low for f in found])
    assert widths == pytest.approx(2 * 1.96 * math.sqrt(201 / 120_000), rel=0.1)
    assert np.mean([f.auc for f in found]) == pytest.approx(0.5, abs=4 * 0.041 / math.sqrt(200))


def test_the_tpr_interval_brackets_a_known_rate():
    """A fifth of the members lies far above everyone: the TPR at 1 % is about 0.2 + 0.8 % of chance."""
    rng = np.random.default_rng(1)
    members, others = rng.normal(size=(2, 400))
    members[:80] += 100
    found = attacks.auc_and_tpr(members, others)
    assert found == attacks.auc_and_tpr(torch.tensor(members), others)
    assert found.tpr_low < 0.208 < found.tpr_high and found.tpr_high - found.tpr_low < 0.12
    assert found.tpr_low <= found.tpr <= found.tpr_high and found.auc_low < 0.6 < found.auc_high


def test_a_memorised_set_is_ranked_perfectly():
    found = attacks.auc_and_tpr(np.arange(100) + 1000, np.arange(50))
    assert (found.auc, found.auc_low, found.tpr, found.tpr_low) == (1, 1, 1, 1)


def test_a_memorising_network_gives_its_members_away(digits):
    """On labels that are pure noise a network can only know its training images by heart."""
    noise = torch.randint(10, (200,), generator=torch.Generator().manual_seed(0))
    x = digits.train_x[:200]
    z = networks.logits(mlp(x[:100], noise[:100], 0, steps=150), x)
    for name in ("entropy", "loss", "confidence"):
        scores = attacks.scores(z, noise)[name]
        found = attacks.auc_and_tpr(scores[:100], scores[100:])
        assert found.auc > (0.95 if name == "loss" else 0.6)  # one label in ten is guessed


def test_a_threshold_is_reported_on_samples_that_did_not_pick_it():
    sharp = attacks.held_out(np.arange(100) + 1000, np.arange(100))
    assert (sharp.balanced_accuracy, sharp.tpr, sharp.fpr) == (1, 1, 0) and 99 < sharp.threshold <= 1099
    rng = np.random.default_rng(0)
    found = [attacks.held_out(*rng.normal(size=(2, 40)), seed=s).balanced_accuracy for s in range(200)]
    # picked and reported on the same 20 + 20 samples, the mean would be near 0.63; the standard error
    # of the mean of 200 is at most sqrt(0.25 / 40 / 200) = 0.0056
    assert np.mean(found) == pytest.approx(0.5, abs=4 * 0.0056)


@pytest.mark.parametrize("f", [attacks.auc_and_tpr, attacks.held_out])
def test_missing_or_undefined_scores_are_refused(f):
    with pytest.raises(ValueError, match="1 of 3 membership scores are NaN"):
        f([1.0, math.nan, 2.0], [0.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="at least one sample"):
        f([1.0, 2.0, 3.0], [])


# ---- LiRA and U-LiRA


def mlp(x, y, seed, steps=60, start=None):
    """A small network, by full-batch Adam on cross-entropy without label smoothing: a tenth of a second."""
    if start is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training_seed(seed))
            start = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    model = copy.deepcopy(start)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(scope="module")
def noisy(digits):
    """Digits of which 30 % carry a random label: easy images and images to be learnt by heart."""
    generator = torch.Generator().manual_seed(0)
    wrong = torch.rand(1397, generator=generator) < 0.3
    drawn = torch.randint(10, (1397,), generator=generator)
    return replace(digits, train_y=torch.where(wrong, drawn, digits.train_y))


@pytest.fixture(scope="module")
def train(noisy):
    """Trains a shadow, once per seed and index for all tests of this module."""
    known = {}

    def train(seed, index):
        key = seed, tuple(index.tolist())
        if key not in known:
            known[key] = mlp(noisy.train_x[index], noisy.train_y[index], seed)
        return known[key]

    return train


@pytest.fixture(scope="module")
def shadows(noisy, train):
    return lira.shadows(noisy, train)


def mean_auc_and_tpr(scores, member):
    found = [attacks.auc_and_tpr(s[m], s[~m], n_bootstrap=0) for s, m in zip(scores, member, strict=True)]
    return np.mean([f.auc for f in found]), np.mean([f.tpr for f in found])


def test_halves_are_complementary_balanced_and_only_ever_extended():
    member = lira.halves(101, 8, seed=3)
    assert (member.sum(0) == 4).all() and set(member.sum(1).tolist()) == {50, 51}
    assert (member[::2] ^ member[1::2]).all()
    assert torch.equal(lira.halves(101, 4, seed=3), member[:4])
    assert not torch.equal(lira.halves(101, 8, seed=4), member)
    everyone = torch.cat([lira.halves(1397, 8, seed) for seed in range(3)])
    for seed in range(8):  # torch.randperm with a pair's seed once put a whole random pool into one half
        share = everyone[:, torch.randperm(1397, generator=torch.Generator().manual_seed(seed))[:300]]
        assert float(share.double().mean(1).min()) > 0.35 and float(share.double().mean(1).max()) < 0.65
    for n in (0, 7):
        with pytest.raises(ValueError, match=f"n_shadows={n}"):
            lira.halves(101, n)


def test_the_score_is_a_log_likelihood_ratio():
    """Two images; the in and out values of each are known, the variances are pooled within images."""
    member = torch.tensor([[1, 0], [0, 1], [1, 0], [0, 1]]).bool()
    phi = torch.tensor([[4.0, -1.0], [0.0, 2.0], [6.0, 1.0], [0.0, 2.0]])  # in: 4 6, 2 2; out: 0 0, -1 1
    shadows = lira.Shadows(member, phi.double(), torch.arange(2))
    found = lira.lira(torch.tensor([4.0, 1.0]), shadows)

    def log_n(value, mean, variance):  # sums of squares 2 + 0, and 0 + 2, each over 1 + 1 degrees
        return torch.distributions.Normal(mean, math.sqrt(variance)).log_prob(torch.tensor(value))

    expected = [log_n(4.0, 5.0, 1.0) - log_n(4.0, 0.0, 1.0), log_n(1.0, 2.0, 1.0) - log_n(1.0, 0.0, 1.0)]
    assert found.tolist() == pytest.approx([float(e) for e in expected])


def test_with_many_shadows_every_image_has_its_own_variance():
    """32 shadows in, 32 out; each image's values lie at its mean plus and minus its own deviation."""
    place, deviation = torch.arange(64)[:, None], torch.tensor([1.0, 5.0], dtype=torch.float64)
    member, sign = (place % 2 == 0).expand(64, 2), 1 - 2 * (place // 2 % 2)
    phi = 4 * member + sign * deviation
    found, pooled = (
        lira.lira(torch.tensor([4.0, 4.0]), lira.Shadows(member[:n], phi[:n], torch.arange(2)))
        for n in (64, 60)
    )
    # at the in-mean, with equal variances: the squared distance to the out-mean over twice the variance
    assert found.tolist() == pytest.approx([16 / 2 / v for v in (32 / 31, 25 * 32 / 31)])
    assert pooled.tolist() == pytest.approx([16 / 2 / (13 * 30 / 29)] * 2)


def test_the_target_is_never_among_its_own_shadows(shadows):
    with pytest.raises(ValueError, match="the target is shadow 5 itself"):
        lira.lira(shadows.phi[5], shadows)
    rest = shadows.without(5)  # its complement, shadow 4, goes too
    assert torch.equal(rest.phi, torch.cat([shadows.phi[:4], shadows.phi[6:]]))
    assert (rest.member.sum(0) == 7).all()
    assert torch.equal(lira.leave_one_out(shadows)[5], lira.lira(shadows.phi[5], rest))


def test_lira_needs_two_shadows_on_a_side_and_finite_outputs(shadows):
    two = lira.Shadows(shadows.member[:2], shadows.phi[:2], shadows.index)
    with pytest.raises(ValueError, match="1 shadows on one side"):
        lira.lira(shadows.phi[5], two)
    with pytest.raises(ValueError, match="not finite"):
        lira.lira(shadows.phi[5] * math.inf, two)


def test_shadows_train_on_their_halves_with_seeds_of_their_own(few):
    calls = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    found = lira.shadows(few, lambda seed, index: calls.append((seed, index)) or model, 4, seed=1)
    assert [seed for seed, _ in calls] == [2000, 2001, 2002, 2003]
    for (_, index), member in zip(calls, found.member, strict=True):
        assert torch.equal(index, member.nonzero()[:, 0])
    expected = attacks.stable_logit(networks.logits(model, few.train_x), few.train_y)
    assert all(torch.equal(row, expected) for row in found.phi)


def test_shadows_resume_from_the_cache(few, own_cache, monkeypatch):
    def train(seed, index):
        return training.trained(few, Architecture("resnet18", width=8), Recipe(epochs=1), seed, index)

    first = lira.shadows(few, train, n_shadows=2)
    fitted, fit = [], training.fit
    monkeypatch.setattr(training, "fit", lambda *given: fitted.append(1) or fit(*given))
    more = lira.shadows(few, train, n_shadows=4)
    assert len(fitted) == 2 and torch.equal(more.phi[:2], first.phi)


def test_lira_finds_more_members_at_a_low_false_positive_rate_than_a_global_threshold(shadows):
    """The rung above: means over 16 targets, each attacked with the shadows of the others."""
    loss_auc, loss_tpr = mean_auc_and_tpr(shadows.phi, shadows.member)  # phi ranks like the loss
    auc, tpr = mean_auc_and_tpr(lira.leave_one_out(shadows), shadows.member)
    assert loss_auc > 0.6 and auc > loss_auc + 0.1
    assert loss_tpr < 0.03 and tpr > 0.15


def test_lira_is_at_chance_on_models_that_never_saw_the_data(noisy, shadows):
    """The same logits with memberships that have nothing to do with them."""
    wrong = replace(shadows, member=lira.halves(1397, 16, seed=99))
    auc, tpr = mean_auc_and_tpr(lira.leave_one_out(wrong), wrong.member)
    # one AUC of 698 against 699 has a standard error of 0.0155, the mean of 16 of 0.004
    assert auc == pytest.approx(0.5, abs=4 * 0.0039) and tpr == pytest.approx(0.01, abs=0.01)


class Shuns(nn.Module):
    """Turns the logits of the images it was told to forget upside down."""

    def __init__(self, base, forget):
        super().__init__()
        self.base, self.known = base, {image.numpy().tobytes() for image in forget}

    def forward(self, x):
        sign = torch.tensor([-1.0 if image.numpy().tobytes() in self.known else 1.0 for image in x])
        return sign[:, None] * self.base(x)


@pytest.fixture(scope="module")
def pool(noisy):
    return scenarios.forget_random(noisy, 300, seed=1).forget


def u_lira(noisy, train, unlearn, pool, n_shadows=16):
    found = lira.unlearned_shadows(noisy, train, unlearn, pool, n_shadows)
    return mean_auc_and_tpr(lira.leave_one_out(found), found.member) + (
        mean_auc_and_tpr(found.phi, found.member)[0],
    )


def test_u_lira_is_at_chance_after_exact_retraining(noisy, train, pool):
    calls = []

    def retrain(model, forget, member, seed):
        calls.append((forget, member))
        return train(seed + 500, member[~torch.isin(member, forget)])

    auc, tpr, _ = u_lira(noisy, train, retrain, pool)
    # one AUC of 150 against 150 has a standard error of 0.033, the mean of 16 on shared images at least 0.008
    assert auc == pytest.approx(0.5, abs=0.04)
    assert tpr == pytest.approx(0.01, abs=0.015)
    for forget, member in calls:
        assert set(forget.tolist()) == set(member.tolist()) & set(pool.tolist())
        assert 100 < len(forget) < 200 and len(member) in (698, 699)


def test_u_lira_sees_what_is_left_behind(noisy, train, pool):
    auc, tpr, _ = u_lira(noisy, train, lambda model, *_: model, pool)
    assert auc > 0.75 and tpr > 0.15


def test_u_lira_sees_what_is_forgotten_too_well(noisy, train, pool):
    auc, tpr, loss_auc = u_lira(
        noisy, train, lambda model, forget, *_: Shuns(model, noisy.train_x[forget]), pool
    )
    assert auc > 0.95 and tpr > 0.5
    assert loss_auc < 0.2  # a global threshold takes the forgotten for the least likely members


def test_u_lira_needs_something_to_forget_in_every_shadow(noisy, train):
    with pytest.raises(ValueError, match="none of the 1 images to forget"):
        lira.unlearned_shadows(noisy, train, lambda model, *_: model, torch.tensor([7]), n_shadows=2)
