"""Each trap of the bug museum (notebook a1) that this package must not fall into.

Where a mistake is a matter of degree, the test also runs the careless version, so that a pass means
that the mistake would have been seen.
"""

import copy
import dataclasses
import math
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from torch import nn

from lfssd_nb import baselines, dampening, data, importance, networks, unlearn
from lfssd_nb.audit import attacks, divergence, how_accurate, membership
from lfssd_nb.baselines import unsir
from lfssd_nb.data import scenarios
from lfssd_nb.data.augment import Augmentation, augment
from lfssd_nb.networks import gold, training
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.recipes import Recipe

SMALL = Architecture("resnet18", width=8)
BRIEF = Recipe(epochs=1)


def flat(values):
    return torch.cat([v.flatten() for v in values.values()])


def equal(a, b):
    return all(torch.equal(v, b[name]) for name, v in a.items())


# ---- room 1: data


def test_no_picture_is_in_both_train_and_test(digits):
    train, test = ({image.numpy().tobytes() for image in part} for part in (digits.train_x, digits.test_x))
    assert len(train) + len(test) == 1797 and not train & test


@pytest.mark.parametrize("n", [1, 83, 100, 1396])
def test_as_many_random_samples_arrive_as_were_asked_for(digits, n):
    scenario = scenarios.forget_random(digits, n)
    assert len(scenario.forget.unique()) == n and len(scenario.retain.unique()) == 1397 - n


def test_loading_twice_gives_the_same_and_shares_nothing(digits):
    first = data.load("digits", device="cpu")
    augment(first.train_x[:50], Augmentation(2, True, 15.0), torch.Generator().manual_seed(0))
    first.train_x.zero_(), first.test_x.zero_()
    second = data.load("digits", device="cpu")
    assert torch.equal(second.train_x, digits.train_x) and torch.equal(second.test_x, digits.test_x)


def test_a_way_to_augment_cannot_be_changed():
    for settings in (Augmentation(), Recipe(), Recipe().augmentation):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(settings, dataclasses.fields(settings)[0].name, 7)
    assert Recipe().augmentation == Augmentation()


def test_training_with_augmentation_changes_neither_the_images_nor_the_next_training(few):
    before = few.train_x.clone()
    plain, shifted = BRIEF, Recipe(epochs=1, augmentation=Augmentation(2, True, 15.0))
    fits = [
        training.fit(networks.build(SMALL, few), few.train_x, few.train_y, recipe, 0, show=False).state_dict()
        for recipe in (plain, shifted, plain)
    ]
    assert torch.equal(few.train_x, before)
    assert equal(fits[0], fits[2]) and not equal(fits[0], fits[1])


# ---- room 2: training


def test_gold_shares_no_weight_matrix_however_deep_it_lies(few):
    scenario = scenarios.forget_class(few, 3)
    original = training.trained(few, SMALL, BRIEF)
    same, other = gold.retrained(few, scenario, SMALL, BRIEF, seeds=[0, 1])
    for name, p in original.named_parameters():
        if p.ndim > 1:
            assert not torch.equal(p, same.get_parameter(name)), name  # the same draw, other data
            assert float((p == other.get_parameter(name)).double().mean()) < 1e-3, name


def test_gold_is_trained_by_the_recipe_of_the_original(few, own_cache, monkeypatch):
    recipes = []
    monkeypatch.setattr(training, "fit", lambda m, x, y, recipe, *rest: recipes.append(recipe) or m.eval())
    scenario = scenarios.forget_class(few, 3)
    for recipe in (None, BRIEF):
        training.trained(few, SMALL, recipe)
        gold.retrained(few, scenario, SMALL, recipe)
    assert recipes[0] == recipes[1] and recipes[2] == recipes[3] == BRIEF


def test_training_never_looks_at_the_test_set(few, own_cache, tmp_path, monkeypatch):
    """The last weights are kept, not those with the best test accuracy."""
    weights = []
    for number, test_y in enumerate((few.test_y, (few.test_y + 1) % 10)):
        monkeypatch.setenv("LFSSD_CACHE", str(tmp_path / f"{number}"))
        other = dataclasses.replace(few, test_x=few.test_x + number, test_y=test_y)
        weights.append(training.trained(other, SMALL, Recipe(epochs=2)).state_dict())
    assert equal(*weights)


def stale(model):
    model = copy.deepcopy(model)
    for p in model.parameters():
        p.grad = torch.full_like(p, 1e3)
    return model


def test_left_over_gradients_do_not_enter_the_first_step(few, tiny):
    x, y = few.train_x, few.train_y
    clean, leaked = (training.fit(m, x, y, BRIEF, 0, show=False) for m in (copy.deepcopy(tiny), stale(tiny)))
    assert equal(clean.state_dict(), leaked.state_dict())


@pytest.mark.parametrize("reduction", ["sample", "batch"])
def test_left_over_gradients_do_not_enter_an_importance(few, tiny, reduction):
    x, y, options = few.train_x, few.train_y, dict(reduction=reduction, batch_size=16)
    marked = stale(tiny)
    for clean, leaked in (
        (importance.sensitivity(tiny, x, **options), importance.sensitivity(marked, x, **options)),
        (importance.fisher(tiny, x, y, **options), importance.fisher(marked, x, y, **options)),
    ):
        assert equal(clean.sums, leaked.sums)
    assert all((p.grad == 1e3).all() for p in marked.parameters())


# ---- room 3: importance and dampening


def estimate(name, model, few, index, **options):
    x, y = few.train_x[index], few.train_y[index]
    if name == "fisher":
        return importance.fisher(model, x, y, **options)
    return importance.sensitivity(model, x, **options)


@pytest.mark.parametrize("name", ["sensitivity", "fisher"])
def test_per_sample_importance_depends_on_neither_order_nor_batches(few, tiny, name):
    order = few.train_y.argsort(stable=True)
    one = flat(estimate(name, tiny, few, torch.arange(100), batch_size=100).mean)
    for index, size in ((order, 33), (order, 99), (order.flip(0), 1)):
        other = flat(estimate(name, tiny, few, index, batch_size=size).mean)
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6 * float(one.max()))
    means = [
        flat(estimate(name, tiny, few, index, reduction="batch", batch_size=20).mean)
        for index in (order, torch.arange(100))
    ]
    assert float((means[0] - means[1]).abs().sum() / means[1].sum()) > 1e-3  # the published form does


@pytest.mark.parametrize("name", ["sensitivity", "fisher"])
def test_the_last_partial_batch_weighs_no_more_than_its_samples(few, tiny, name):
    whole = estimate(name, tiny, few, torch.arange(100), batch_size=100)
    ragged = estimate(name, tiny, few, torch.arange(100), batch_size=99)
    assert (whole.count, ragged.count) == (100, 100)
    right, split = flat(whole.mean), flat(ragged.mean)
    parts = [estimate(name, tiny, few, torch.arange(100)[part]) for part in (slice(99), slice(99, 100))]
    merged, careless = flat((parts[0] + parts[1]).mean), sum(flat(p.mean) for p in parts) / 2
    for found in (split, merged):
        assert float((found - right).abs().sum() / right.sum()) < 1e-5
    assert float((careless - right).abs().sum() / right.sum()) > 0.1


def test_the_factor_is_clipped_and_not_the_product():
    theta, ratio = torch.tensor([1.0, -1.0, 1.0, -1.0]), torch.tensor([8.0, 8.0, 3.0, 3.0])
    for lam, by in ((1.0, [1 / 8, 1 / 8, 1 / 3, 1 / 3]), (4.0, [1 / 2, 1 / 2, 1, 1])):
        layer = nn.Linear(4, 1, bias=False)
        layer.weight.data[0] = theta
        i_f, i_d = {"weight": ratio[None]}, {"weight": torch.ones(1, 4)}
        new, _ = dampening.dampen(layer, i_f, i_d, alpha=2.0, lam=lam)
        assert torch.allclose(new.weight[0], theta * torch.tensor(by))
        careless = torch.minimum(theta * lam / ratio, theta)
        assert not torch.allclose(careless, theta * torch.tensor(by))


def test_what_d_says_nothing_about_is_not_set_to_zero():
    layer = nn.Linear(3, 1, bias=False)
    before = layer.weight.detach().clone()
    i_f, i_d = {"weight": torch.tensor([[8.0, 1e-30, 0.0]])}, {"weight": torch.zeros(1, 3)}
    for lam in (0.0, 1.0):
        new, report = dampening.dampen(layer, i_f, i_d, alpha=0.5, lam=lam)
        assert torch.equal(new.weight, before) and report.unseen.tolist() == [2]
        assert report.selected.tolist() == [0]


def test_an_importance_of_the_retain_set_alone_is_refused(few, tiny):
    """There I(D) can be 0 where I(D_f) is not; and with it the ceiling would be gone."""
    scenario = scenarios.forget_class(few, 3)
    x = few.train_x.clone()
    x[scenario.forget] *= 20
    forget, retain = (importance.sensitivity(tiny, x[i]) for i in (scenario.forget, scenario.retain))
    with pytest.raises(ValueError, match="not inside D"):
        unlearn.lfssd(tiny, forget, retain)


def test_nothing_to_forget_is_not_a_silent_no_op(few, tiny):
    x, y = few.train_x, few.train_y
    with pytest.raises(ValueError, match="empty set has no importance"):
        unlearn.lfssd(tiny, x[:0], x)
    with pytest.raises(ValueError, match="empty set has no importance"):
        unlearn.ssd(tiny, (x[:0], y[:0]), (x, y))
    with pytest.raises(ValueError, match="forget set is empty"):
        scenarios.from_index(few, torch.tensor([]))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_nan_is_not_a_silent_no_op(few, tiny, bad):
    x, y = few.train_x[:20], few.train_y[:20]
    broken = copy.deepcopy(tiny)
    broken[4].weight.data[0, 0] = bad
    for unlearned in (
        lambda: unlearn.lfssd(broken, x[:5], x),
        lambda: unlearn.ssd(broken, (x[:5], y[:5]), (x, y)),
    ):
        with pytest.raises(ValueError, match="NaN or infinite"):
            unlearned()
    good = importance.sensitivity(tiny, x).mean
    spoiled = good | {"4.weight": torch.full_like(good["4.weight"], bad)}
    for pair in ((spoiled, good), (good, spoiled)):
        with pytest.raises(ValueError, match="NaN or infinite"):
            dampening.dampen(tiny, *pair, alpha=2.0)


def test_a_setting_that_selects_nothing_says_so(few, tiny):
    x = few.train_x
    with pytest.warns(UserWarning, match="changed nothing"):
        unlearn.lfssd(tiny, x[:10], x, alpha=11.0)  # the ceiling is 10
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unlearn.lfssd(tiny, x[:10], x, alpha=2.0)


# ---- room 4: evaluation


def test_accuracy_counts_images_and_not_batches():
    """One wrong image in a last batch of its own, behind a full one of 128 right ones."""
    x = F.one_hot(torch.tensor([0] * 128 + [1]), 2).float()
    y = torch.zeros(129, dtype=torch.long)
    assert how_accurate.accuracy(nn.Identity(), x, y) == pytest.approx(100 * 128 / 129)
    per_class = how_accurate.accuracy_per_class(nn.Identity(), x, y, 1)
    assert float(per_class[0]) == pytest.approx(100 * 128 / 129)


def test_the_attack_is_at_chance_on_noise_where_one_scored_on_its_own_data_is_not(few):
    """Entropies without a trace of membership, 20 times; few images, so that a fit finds something."""
    scenario = scenarios.forget_random(few, 50)
    noise = [torch.randn(100 + len(few.test_y), 10, generator=torch.Generator().manual_seed(k)) * 3
             for k in range(40)]  # fmt: skip
    found = [membership.entropy_attack(how_accurate.Outputs(z[:100], z[100:]), few, scenario) for z in noise]
    balanced = np.mean([attack.balanced_accuracy for attack in found])
    auc = np.mean([attack.auc for attack in found])
    careless = []
    for z in noise:
        feature = membership.entropy(z)[:20, None].numpy()
        member = np.arange(20) % 2
        careless.append(LogisticRegression().fit(feature, member).score(feature, member))
    assert abs(balanced - 0.5) < 0.06 and abs(auc - 0.5) < 0.06
    assert np.mean(careless) > 0.55


def test_a_threshold_is_not_scored_on_the_images_that_it_was_picked_on():
    """The best of all thresholds beats chance on noise, if it is scored where it was picked."""
    found, careless = [], []
    for seed in range(100):
        member, other = np.random.default_rng(seed).normal(size=(2, 20))
        found.append(attacks.held_out(member, other, seed).balanced_accuracy)
        at = np.concatenate([member, other])[:, None]
        careless.append(((member >= at).mean(1) + (other < at).mean(1)).max() / 2)
    assert abs(np.mean(found) - 0.5) < 0.03 and np.mean(careless) > 0.57


def test_the_attack_passes_the_images_in_batches(few, tiny):
    sizes = []
    handle = tiny.register_forward_hook(lambda *call: sizes.append(len(call[2])))
    membership.entropy_attack(tiny, few, scenarios.forget_class(few, 3))
    handle.remove()
    assert sizes == [len(few.train_y), len(few.test_y)]


def test_outputs_do_not_depend_on_the_company_even_of_a_model_in_train_mode(few, tiny):
    """A random teacher as it comes from its constructor is in train mode."""
    teacher = copy.deepcopy(tiny).train()
    before = copy.deepcopy(teacher.state_dict())
    x = few.train_x
    together = networks.logits(teacher, x)
    for size in (1, 7, 50):
        assert torch.allclose(networks.logits(teacher, x, batch_size=size), together, atol=1e-4)
    assert torch.allclose(networks.logits(teacher, x.flip(0)).flip(0), together, atol=1e-4)
    assert equal(teacher.state_dict(), before) and teacher.training
    with torch.no_grad():
        assert not torch.allclose(teacher(x[:4]), teacher(x)[:4], atol=0.01)  # the mistake would be seen


def test_an_importance_is_taken_in_eval_mode(few, tiny):
    training_mode = copy.deepcopy(tiny).train()
    before = copy.deepcopy(training_mode.state_dict())
    found = importance.sensitivity(training_mode, few.train_x, reduction="batch", batch_size=10)
    expected = importance.sensitivity(tiny, few.train_x, reduction="batch", batch_size=10)
    assert equal(found.sums, expected.sums) and equal(training_mode.state_dict(), before)


# Jensen-Shannon and ZRF


def contradiction(classes, certainty):
    """Two predictions that contradict each other about two classes; the other classes are impossible."""
    z = torch.full((2, 1, classes), -60.0, dtype=torch.float64)
    z[:, :, :2] = 0.0
    z[0, 0, 0] = z[1, 0, 1] = certainty
    return z


def test_js_divergence_does_not_depend_on_the_number_of_classes():
    found = [float(divergence.js_divergence(*contradiction(k, 3.0))) for k in (2, 10, 100, 1000)]
    assert found == pytest.approx([found[0]] * 4, abs=1e-9) and 0.5 < found[0] < 1
    similar = [float(divergence.zrf(*contradiction(k, 3.0))) for k in (2, 10, 100, 1000)]
    assert similar == pytest.approx([1 - found[0]] * 4, abs=1e-9)


def test_js_divergence_is_symmetric_and_between_0_and_1_bit():
    generator = torch.Generator().manual_seed(0)
    for scale in (0.1, 3.0, 100.0):
        a, b = torch.randn(2, 200, 10, generator=generator) * scale
        found = divergence.js_divergence(a, b)
        assert found.shape == (200,)
        assert torch.allclose(found, divergence.js_divergence(b, a), atol=1e-6)
        assert float(found.min()) > -1e-6 and float(found.max()) < 1 + 1e-6
        assert float(divergence.js_divergence(a, a).abs().max()) < 1e-6
    assert float(divergence.js_divergence(*contradiction(10, 1000.0))) == pytest.approx(1)


def test_js_divergence_is_that_of_its_definition():
    p, q = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.1, 0.8])
    m = (p + q) / 2
    expected = (p * np.log2(p / m)).sum() / 2 + (q * np.log2(q / m)).sum() / 2
    z = torch.tensor(np.log([[p], [q]]))
    assert float(divergence.js_divergence(*z)) == pytest.approx(expected)


def test_zrf_is_a_mean_over_samples(few, tiny):
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 101, 10, generator=generator)
    each = [float(divergence.zrf(a[n : n + 1], b[n : n + 1])) for n in range(101)]
    assert float(divergence.zrf(a, b)) == pytest.approx(np.mean(each), abs=1e-5)


# ---- the baselines


def test_the_noise_of_unsir_leaves_no_gradient_behind(few, tiny):
    before = copy.deepcopy(tiny.state_dict())
    noise = unsir.error_maximising_noise(tiny, 3, (8, 1, 8, 8), steps=3, lr=0.1, seed=0)
    assert all(p.grad is None for p in tiny.parameters()) and equal(tiny.state_dict(), before)
    assert not noise.requires_grad


@pytest.mark.parametrize("name", ["unsir", "finetune", "bad_teacher", "salun"])
def test_left_over_gradients_do_not_enter_a_baseline(few, tiny, name):
    task = baselines.make(few, scenarios.forget_class(few, 3), SMALL, BRIEF)
    clean, leaked = (baselines.METHODS[name](m, task) for m in (tiny, stale(tiny)))
    assert equal(clean.state_dict(), leaked.state_dict())


def test_the_random_teacher_answers_in_eval_mode(few, tiny):
    modes = []

    def fresh(seed):
        teacher = networks.build(SMALL, few, seed).train()
        teacher.register_forward_hook(
            lambda module, *_: modes.append(any(m.training for m in module.modules()))
        )
        return teacher

    task = baselines.make(few, scenarios.forget_class(few, 3), SMALL, BRIEF)
    baselines.METHODS["bad_teacher"](tiny, dataclasses.replace(task, fresh=fresh))
    assert modes and not any(modes)
