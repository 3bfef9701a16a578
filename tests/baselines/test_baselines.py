"""Every unlearning method: one contract for all of them, and for each what its paper promises."""

import copy
import math
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_tasks import flat, same, taught
from torch import nn

from lfssd_nb import baselines, dampening, importance, networks, unlearn
from lfssd_nb.audit import how_accurate
from lfssd_nb.baselines import METHODS, Task, fisher_forgetting, loop
from lfssd_nb.baselines.adaptive import alpha_at, percentile_size, ratios
from lfssd_nb.baselines.bad_teacher import distillation
from lfssd_nb.baselines.fisher_forgetting import true_fisher
from lfssd_nb.baselines.jit import lipschitz_ratio
from lfssd_nb.baselines.ntk import jacobian, linearised_optimum
from lfssd_nb.baselines.random_labels import wrong_labels
from lfssd_nb.baselines.salun import saliency_mask
from lfssd_nb.baselines.unsir import error_maximising_noise
from lfssd_nb.data import scenarios
from lfssd_nb.networks import gold
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.recipes import Recipe

pytestmark = pytest.mark.filterwarnings("ignore:.*changed nothing")

CONTENTS = {  # what each need puts into a Task beside forget_x, written down a second time
    frozenset(): (),
    frozenset({"labels"}): ("forget_y",),
    frozenset({"retain"}): ("retain_x",),
    frozenset({"retain", "labels"}): ("forget_y", "retain_x", "retain_y"),
    frozenset({"full"}): ("full_x",),
    frozenset({"full", "labels"}): ("forget_y", "full_x", "full_y"),
    frozenset({"full", "retain", "labels"}): ("forget_y", "retain_x", "retain_y", "full_x", "full_y"),
    frozenset({"target"}): ("target",),
    frozenset({"retain", "labels", "target"}): ("forget_y", "retain_x", "retain_y", "target"),
    frozenset({"retain", "fresh"}): ("retain_x", "fresh"),
    frozenset({"recipe"}): ("retrain",),
}
NEEDS = {
    "retrain": {"recipe"}, "nothing": set(), "random_weights": {"full"}, "finetune": {"retain", "labels"},
    "gradient_ascent": {"labels"}, "neggrad_plus": {"retain", "labels"},
    "random_labels": {"retain", "labels"}, "bad_teacher": {"retain", "fresh"},
    "unsir": {"retain", "labels", "target"}, "scrub": {"retain", "labels"}, "salun": {"retain", "labels"},
    "l1_sparse": {"retain", "labels"}, "fisher_forgetting": {"retain"}, "jit": set(),
    "class_mask": {"target"}, "assd": {"full", "labels"}, "xalfssd": {"full"}, "ssd": {"full", "labels"},
    "lfssd": {"full"}, "assd_code": {"retain", "labels"}, "xalfssd_code": {"retain", "labels"},
    "jit_code": set(), "ntk_scrubbing": {"full", "retain", "labels"},
}  # fmt: skip


def bare(task: Task, needs: set) -> Task:
    held = {name: getattr(task, name) for name in CONTENTS[frozenset(needs)]}
    return Task(task.forget_x, augmentation=task.augmentation, seed=task.seed, **held)


def cross_entropy(net, x, y) -> float:
    return float(F.cross_entropy(networks.logits(net, x), y))


def divergence(teacher, net, x) -> float:
    return float(distillation(networks.logits(net, x), networks.logits(teacher, x)))


# ---- the contract


def everything_about(net) -> list:
    hooks = [
        len(getattr(m, name))
        for m in net.modules()
        for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    ]
    of_all = nn.modules.module
    hooks += [len(of_all._global_forward_hooks), len(of_all._global_forward_pre_hooks)]
    bits = [v.numpy().tobytes() for v in net.state_dict().values()]
    parameters = [(p.requires_grad, p.grad is None, p._backward_hooks) for p in net.parameters()]
    return [bits, [m.training for m in net.modules()], parameters, hooks]


def test_the_registry_says_what_every_method_needs():
    assert {name: set(m.needs) for name, m in METHODS.items()} == NEEDS
    assert {name for name, m in METHODS.items() if m.kinds == ("class",)} == {"unsir", "class_mask"}
    trained = {"retrain", "finetune", "gradient_ascent", "neggrad_plus", "random_labels", "bad_teacher",
               "unsir", "scrub", "salun", "l1_sparse", "jit", "jit_code"}  # fmt: skip
    assert {name for name, m in METHODS.items() if m.trains} == trained
    with pytest.raises(ValueError, match=r"unknown method 'lfsd'; choose one of retrain, .*, lfssd"):
        baselines.get("lfsd")
    with pytest.raises(ValueError, match="unknown needs"):
        baselines.method("oracle", ["test set"])(lambda model, task: model)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_returns_a_new_network_in_eval_mode_and_leaves_the_given_one_alone(name, model, task):
    model[4].bias.requires_grad_(False)
    before = everything_about(model)
    new = METHODS[name](model, task)
    assert everything_about(model) == before
    assert not any(module.training for module in new.modules())
    shapes = [{k: v.shape for k, v in net.state_dict().items()} for net in (model, new)]
    assert shapes[0] == shapes[1]
    storages = [{v.data_ptr() for v in net.state_dict().values()} for net in (model, new)]
    assert not storages[0] & storages[1]


@pytest.mark.parametrize("name", METHODS)
def test_a_seed_gives_the_same_bits_whatever_the_mode_and_the_global_random_state(name, model, tiny, task):
    found = []
    for seed, net in ((1, model), (2, tiny)):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        before = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
        found.append(METHODS[name](net, task))
        assert torch.equal(torch.get_rng_state(), before[0])
        assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    assert same(*found)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_reads_what_it_declares_and_no_more(name, tiny, task):
    found = METHODS[name].run(tiny, bare(task, METHODS[name].needs))
    assert same(METHODS[name](tiny, task), found)


@pytest.mark.parametrize(("name", "need"), [(name, need) for name in METHODS for need in sorted(NEEDS[name])])
def test_a_method_declares_nothing_that_it_could_do_without(name, need, tiny, task):
    opened = {"labels": ("forget_y", "retain_y", "full_y"), "retain": ("retain_x", "retain_y"),
              "full": ("full_x", "full_y"), "target": ("target",), "fresh": ("fresh",),
              "recipe": ("retrain",)}[need]  # fmt: skip
    with pytest.raises((TypeError, AttributeError, ValueError)):
        METHODS[name].run(tiny, replace(task, **dict.fromkeys(opened)))


MISSING = [(name, field) for name in METHODS for field in CONTENTS[frozenset(NEEDS[name])]]


@pytest.mark.parametrize(("name", "field"), MISSING)
def test_what_a_task_lacks_is_named(name, field, tiny, task):
    what = {"forget_y": "the labels", "retain_x": "the retain set", "retain_y": "labels .* the retain set",
            "full_x": "all of D", "full_y": "all of D.* the labels", "target": "the class to forget",
            "fresh": "untrained networks", "retrain": "the recipe"}[field]  # fmt: skip
    with pytest.raises(ValueError, match=f"^{name} needs .*{what}.* the task has no {field}"):
        METHODS[name](tiny, replace(task, **{field: None}))


@pytest.mark.parametrize("name", METHODS)
def test_an_unknown_setting_is_refused_with_the_known_ones(name, tiny, task):
    known = ", ".join(METHODS[name].defaults) or "none"
    with pytest.raises(ValueError, match=rf"^{name} has no setting speed; its settings: {known}$"):
        METHODS[name](tiny, task, speed=1)


@pytest.mark.parametrize("architecture", ("resnet18", "vit"))
@pytest.mark.parametrize("name", [name for name in METHODS if name != "ntk_scrubbing"])
def test_every_method_takes_the_real_networks(name, architecture, few):
    architecture = Architecture(architecture, width=8)
    recipe = Recipe(1, lr=1e-3, optimizer="adamw")
    task = baselines.make(few, scenarios.forget_class(few, 3), architecture, recipe)
    net = networks.build(architecture, few)
    cheap = {"epochs": 1, "n_samples": 10, "steps": 1, "growth": 9.0}
    new = METHODS[name](net, task, **{k: v for k, v in cheap.items() if k in METHODS[name].defaults})
    assert new.state_dict().keys() == net.state_dict().keys() and not new.training
    assert networks.logits(new, few.test_x).isfinite().all()


def test_a_task_holds_the_scenario_by_class(few):
    architecture = Architecture("resnet18", 8)
    by_class = baselines.make(few, scenarios.forget_class(few, 3), architecture)
    assert set(by_class.forget_y.tolist()) == {3} and 3 not in by_class.retain_y and by_class.target == 3
    assert (by_class.full_y.diff() >= 0).all() and len(by_class.full_x) == 100
    pairs = few.coarsen()
    scenario = scenarios.forget_subclass(pairs, 8)
    by_subclass = baselines.make(pairs, scenario, architecture)
    order = pairs.train_sub.argsort(stable=True)
    assert torch.equal(by_subclass.full_x, pairs.train_x[order]) and by_subclass.target is None
    assert torch.equal(by_subclass.full_y, pairs.train_y[order])
    assert torch.equal(by_subclass.forget_x, pairs.train_x[pairs.train_sub == 8])
    at_random = baselines.make(few, scenarios.forget_random(few, 10), architecture)
    assert torch.equal(at_random.full_x, few.train_x) and at_random.target is None


# ---- the loop


def test_an_epoch_shows_every_sample_once_except_a_last_one_alone():
    seen = []

    def loss(net, x, y):
        assert len(x) > 1 and torch.equal(x[:, 0], y)
        seen.append(y.tolist())
        return net(x).sum()

    x = torch.arange(17.0)[:, None]
    loop.descend(nn.Linear(1, 1), loss, (x, x[:, 0]), epochs=2, lr=0.0, seed=0, batch_size=8)
    assert [len(batch) for batch in seen] == [8, 8, 8, 8]
    first, second = seen[0] + seen[1], seen[2] + seen[3]
    assert len(set(first)) == len(set(second)) == 16 and first != second


def test_a_single_sample_is_learnt_in_eval_mode(tiny, few):
    x, y = few.train_x[:1], few.train_y[:1]
    net = loop.descend(
        copy.deepcopy(tiny), lambda n, x, y: F.cross_entropy(n(x), y), (x, y), epochs=5, lr=0.1, seed=0
    )
    assert cross_entropy(net, x, y) < cross_entropy(tiny, x, y)
    assert all(torch.equal(v, net.get_buffer(k)) for k, v in tiny.named_buffers())


def test_divergence_is_an_error_that_names_the_learning_rate(tiny, task):
    with pytest.raises(FloatingPointError, match="lower lr=1e"):
        METHODS["finetune"](tiny, task, lr=1e30)


def test_cycle_uses_every_sample_equally_often():
    counts = torch.bincount(loop.cycle(torch.zeros(7, 2), 24, seed=0), minlength=7)
    assert counts.sum() == 24 and counts.min() == 3 and counts.max() == 4


# ---- training


def test_retraining_is_gold(few, tmp_path, monkeypatch):
    scenario, architecture = scenarios.forget_class(few, 3), Architecture("resnet18", 8)
    monkeypatch.setenv("LFSSD_CACHE", str(tmp_path / "one"))
    golds = gold.retrained(few, scenario, architecture, Recipe(2), seeds=(4, 5), show=False)
    monkeypatch.setenv("LFSSD_CACHE", str(tmp_path / "other"))
    task = baselines.make(few, scenario, architecture, Recipe(2), seed=4)
    new = METHODS["retrain"](networks.build(architecture, few, 0), task)
    assert same(new, golds[0]) and not same(new, golds[1])


def test_finetuning_learns_d_r_and_never_sees_d_f(learnt, task):
    new = METHODS["finetune"](learnt, task)
    assert cross_entropy(new, task.retain_x, task.retain_y) < cross_entropy(
        learnt, task.retain_x, task.retain_y
    )
    other = replace(task, forget_x=task.forget_x + 1, forget_y=task.forget_y + 1)
    assert same(new, METHODS["finetune"](learnt, other))
    assert not same(new, METHODS["finetune"](learnt, replace(task, seed=task.seed + 1)))


def test_gradient_ascent_climbs_the_loss_of_d_f(learnt, task):
    networks = [learnt, *(METHODS["gradient_ascent"](learnt, task, epochs=n) for n in (5, 50))]
    losses = [cross_entropy(net, task.forget_x, task.forget_y) for net in networks]
    assert losses[0] < losses[1] < losses[2]


def test_neggrad_plus_with_beta_1_is_finetuning_and_below_it_climbs_on_d_f(learnt, task):
    one, less = (METHODS["neggrad_plus"](learnt, task, beta=beta, batch_size=32) for beta in (1.0, 0.95))
    assert torch.equal(flat(one), flat(METHODS["finetune"](learnt, task, lr=0.01, batch_size=32)))
    on_d_f = [cross_entropy(net, task.forget_x, task.forget_y) for net in (one, less)]
    assert on_d_f[1] > on_d_f[0] + 0.1


def test_wrong_labels_are_never_right_and_uniform_over_the_others():
    y = torch.arange(10).repeat_interleave(9000)
    counts = torch.zeros(10, 10).index_put_((y, wrong_labels(y, 10, seed=0)), torch.tensor(1.0), True)
    assert (counts.diagonal() == 0).all()
    others = counts[~torch.eye(10, dtype=torch.bool)]
    chi2 = float(((others - 1000) ** 2 / 1000).sum())  # 10 * 8 degrees of freedom: 80 +- 12.6
    assert 80 - 4 * 12.6 < chi2 < 80 + 5 * 12.6
    assert torch.equal(wrong_labels(torch.tensor([0, 1, 1]), 2, seed=5), torch.tensor([1, 0, 0]))


def test_random_labels_teaches_wrong_answers_and_rehearses_d_r(learnt, task):
    new = METHODS["random_labels"](learnt, task, epochs=20, lr=0.01)
    wrong = wrong_labels(task.forget_y, 10, task.seed)
    assert cross_entropy(new, task.forget_x, wrong) < 0.5 * cross_entropy(learnt, task.forget_x, wrong)
    assert how_accurate.accuracy(new, task.forget_x, task.forget_y) < 50
    assert how_accurate.accuracy(new, task.retain_x, task.retain_y) > 90


def test_distillation_is_the_tempered_divergence_from_the_teacher():
    z, teacher = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0)).double()
    p, q = ((v / 3).softmax(1) for v in (teacher, z))
    expected = 9 * (p * (p / q).log()).sum(1).mean()
    assert float(distillation(z, teacher, 3.0)) == pytest.approx(float(expected), rel=1e-12)


def test_bad_teacher_moves_to_a_random_network_on_d_f_and_stays_on_d_r(learnt, task):
    teachers, in_train_mode = [], []

    def fresh(seed):
        teachers.append(task.fresh(seed))
        return teachers[-1]

    def watch(module, _):
        if not torch.is_grad_enabled():  # teachers answer without gradients
            in_train_mode.append(module.training)

    hook = nn.modules.module.register_module_forward_pre_hook(watch)
    try:
        new = METHODS["bad_teacher"](
            learnt.train(), replace(task, fresh=fresh), share=1.0, epochs=30, lr=1e-2
        )
    finally:
        hook.remove()
        learnt.eval()
    (bad,) = teachers
    assert len(in_train_mode) >= 2 * 6 and not any(in_train_mode) and int(bad[1].num_batches_tracked) == 0
    assert divergence(bad, new, task.forget_x) < 0.5 * divergence(bad, learnt, task.forget_x)
    assert divergence(learnt, new, task.retain_x) < divergence(learnt, new, task.forget_x)


def test_the_noise_of_unsir_is_further_from_the_class_than_noise(learnt):
    shape, target = (64, 1, 8, 8), 3
    y = torch.full((64,), target)
    start, fresh = (torch.randn(shape, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    noise = error_maximising_noise(learnt, target, shape, 25, 0.1, seed=0)
    found = [cross_entropy(learnt, x, y) for x in (noise, start, fresh)]
    assert found[0] > 1.5 * max(found[1:])
    assert all(p.grad is None for p in learnt.parameters())
    # the L2 term alone would shrink it
    assert float(noise.norm()) > 0.5 * float(start.norm())


def test_unsir_impairs_the_class_and_repairs_the_rest(learnt, task):
    how = dict(lr=3e-3)
    new = METHODS["unsir"](learnt, task, **how)
    assert cross_entropy(new, task.forget_x, task.forget_y) > cross_entropy(
        learnt, task.forget_x, task.forget_y
    )
    assert how_accurate.accuracy(new, task.retain_x, task.retain_y) > 90
    other = replace(task, forget_x=task.forget_x + 1, forget_y=task.forget_y + 1)
    assert same(new, METHODS["unsir"](learnt, other, **how))  # it never sees D_f


def test_scrub_leaves_the_teacher_on_d_f_and_is_held_by_it_on_d_r(learnt, task, tiny, few):
    """Medians of three networks: one in twelve that were tried was not held."""
    found, held_by = [], dict(msteps=0, kl_weight=10.0)
    for net in (learnt, taught(tiny, few, 1), taught(tiny, few, 2)):
        held, free, far = (
            METHODS["scrub"](net, task, batch_size=32, **how)
            for how in (held_by, dict(msteps=0, kl_weight=0.0), dict(msteps=4))
        )
        assert cross_entropy(free, task.retain_x, task.retain_y) < cross_entropy(
            net, task.retain_x, task.retain_y
        )
        left = divergence(net, far, task.forget_x)
        found.append(
            (
                divergence(net, held, task.retain_x) / divergence(net, free, task.retain_x),
                left / divergence(net, held, task.forget_x),
                left / divergence(net, far, task.retain_x),
            )
        )
    hold, leave, leave_d_f_alone = map(median, zip(*found, strict=True))
    assert hold < 0.5 and leave > 5 and leave_d_f_alone > 2, found
    other = replace(task, forget_x=task.forget_x + 1)
    assert same(held, METHODS["scrub"](net, other, batch_size=32, **held_by))  # D_f plays no part


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_saliency_mask_holds_the_largest_gradients(model, task, share):
    mask = saliency_mask(model, task.forget_x, task.forget_y, share)
    net = copy.deepcopy(model).eval()
    loss = F.cross_entropy(net(task.forget_x), task.forget_y)
    grads = torch.autograd.grad(loss, list(net.parameters()))
    size = torch.cat([g.abs().flatten() for g in grads])
    assert [m.shape for m in mask.values()] == [p.shape for p in net.parameters()]
    chosen = torch.cat([m.flatten() for m in mask.values()]).bool()
    assert int(chosen.sum()) == int(share * len(size))
    if 0 < share < 1:
        assert size[chosen].min() >= size[~chosen].max()


def test_salun_touches_only_its_mask(learnt, task):
    new = METHODS["salun"](learnt, task, share=0.3)
    mask = saliency_mask(learnt, task.forget_x, task.forget_y, 0.3)
    chosen = torch.cat([m.flatten() for m in mask.values()]).bool()
    moved = flat(new) != flat(learnt)
    assert not moved[~chosen].any() and moved[chosen].float().mean() > 0.9
    assert how_accurate.accuracy(new, task.forget_x, task.forget_y) < 50


def test_l1_sparse_shrinks_the_weights_the_more_the_larger_gamma(learnt, task):
    gammas = (0.0, 0.005, 0.02)
    weights = [flat(METHODS["l1_sparse"](learnt, task, gamma=g, epochs=50)).abs() for g in gammas]
    norms = [float(w.sum()) for w in weights]
    assert norms[0] > 1.02 * norms[1] and norms[1] > 1.05 * norms[2]
    near_zero = [float((w < 1e-3).float().mean()) for w in weights]
    assert 2 * near_zero[0] < near_zero[1] and 2 * near_zero[1] < near_zero[2]


def test_jit_smooths_the_network_around_d_f(learnt, task):
    noise = 0.5 * torch.randn(task.forget_x.shape, generator=torch.Generator().manual_seed(77))
    new = METHODS["jit"](learnt, task, epochs=20)
    with torch.no_grad():
        before, after = (float(lipschitz_ratio(net, task.forget_x, noise)) for net in (learnt, new))
    assert after < 0.7 * before


def test_the_lipschitz_ratio_of_a_linear_map_is_known():
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 4, bias=False))
    net[1].weight.data = 3 * torch.eye(4)
    x, noise = torch.randn(2, 5, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    assert lipschitz_ratio(net, x, noise).item() == pytest.approx(3)


# ---- Fisher forgetting


def test_the_true_fisher_is_that_of_the_float64_loop(tiny, few):
    x = few.train_x[:12]
    net = copy.deepcopy(tiny).double()
    expected = {k: torch.zeros_like(p) for k, p in net.named_parameters()}
    for sample in x.double():
        log_p = net(sample[None]).log_softmax(1)[0]
        for k in range(10):
            grads = torch.autograd.grad(log_p[k], list(net.parameters()), retain_graph=True)
            for name, g in zip(expected, grads, strict=True):
                expected[name] += log_p[k].exp().item() * g**2 / len(x)
    found = true_fisher(tiny, x, batch_size=5)
    for name, value in expected.items():
        assert float((found[name] - value).abs().max()) < 1e-5 * float(value.max()), name


@pytest.mark.parametrize("shape", [(3,), (3, 4), (5,), (5, 4), (5, 4, 2, 2), ()])
def test_the_noise_has_the_variance_of_the_published_code(shape):
    """Three classes: entry by entry, as the code limits, averages and multiplies it."""
    f = torch.rand(shape, generator=torch.Generator().manual_seed(0)).double() ** 8  # some far below 1e-3
    found, alpha = fisher_forgetting.noise_variance(f, 3, 1e-6, 1e-8), 1e-6
    limit = 1e2 if shape[:1] == (3,) else 1e3
    for at in np.ndindex(shape):
        rows = [(at[0], k, *at[2:]) for k in range(shape[1])] if len(shape) > 1 else [at]
        mean = sum(alpha * min(1 / (float(f[row]) + 1e-8), limit) for row in rows) / len(rows)
        times = 10 if len(shape) == 1 or shape[:1] == (3,) else 1
        assert float(found[at]) == pytest.approx(times * mean, rel=1e-12)
    assert found.max() <= 1e-2


def test_the_noise_is_normal_with_that_variance(few, monkeypatch):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).double().eval()
    x, n = few.train_x.double()[:50], 400
    f = true_fisher(net, x)
    monkeypatch.setattr(fisher_forgetting, "true_fisher", lambda *_: f)  # once is enough
    variance = [fisher_forgetting.noise_variance(v, 3, 1e-6, 1e-8).flatten() for v in f.values()]
    noise = torch.stack(
        [flat(METHODS["fisher_forgetting"](net, Task(x, retain_x=x, seed=s))) - flat(net) for s in range(n)]
    )
    scaled = noise / torch.cat(variance).sqrt()
    # per weight, n * variance is chi-square with n degrees of freedom: n +- sqrt(2 n); 195 weights
    assert (scaled.square().sum(0) - n).abs().max() < 5 * math.sqrt(2 * n)
    assert scaled.sum(0).abs().max() < 5 * math.sqrt(n)
    # over all weights, and no two neighbours alike
    assert scaled.square().mean() == pytest.approx(1, abs=5 * math.sqrt(2 / scaled.numel()))
    assert (scaled[:, 1:] * scaled[:, :-1]).mean().abs() < 5 / math.sqrt(scaled.numel())


def test_fisher_forgetting_estimates_on_as_many_samples_as_asked(tiny, task, monkeypatch):
    seen = []
    monkeypatch.setattr(
        fisher_forgetting, "true_fisher", lambda net, x: seen.append(x) or true_fisher(net, x)
    )
    for n in (None, 7, 10**6):
        METHODS["fisher_forgetting"](tiny, task, n_samples=n)
    rows = {row.numpy().tobytes() for row in task.retain_x}
    assert [len(x) for x in seen] == [len(task.retain_x), 7, len(task.retain_x)]
    assert len({row.numpy().tobytes() for row in seen[1]} & rows) == 7


# ---- controls


def test_the_class_mask_hides_one_class_and_changes_no_other_logit(learnt, task):
    x = 3 * torch.randn(2000, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    before, after = (networks.logits(net, x) for net in (learnt, METHODS["class_mask"](learnt, task)))
    assert 3 in before.argmax(1) and 3 not in after.argmax(1) and (after[:, 3] == -100).all()
    others = [k for k in range(10) if k != 3]
    assert torch.equal(before[:, others], after[:, others])


@pytest.mark.parametrize(
    ("net", "target", "message"),
    [
        (nn.Sequential(nn.Conv2d(1, 10, 8), nn.Flatten()), 3, "no nn.Linear layer"),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 10, bias=False)), 3, "no bias"),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), 10, "target 10 is no class .* 10 outputs"),
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), -1, "target -1 is no class"),
    ],
)
def test_the_class_mask_refuses_what_it_cannot_mask(net, target, message, task):
    with pytest.raises(ValueError, match=message):
        METHODS["class_mask"](net, replace(task, target=target))


def test_random_weights_deals_out_the_factors_of_lfssd_elsewhere(learnt, task):
    before = flat(learnt).double()
    assert (before != 0).all()
    lfssd, dealt, again = (
        flat(new).double() / before
        for new in (
            METHODS["lfssd"](learnt, task, alpha=3.0),
            METHODS["random_weights"](learnt, task, alpha=3.0),
            METHODS["random_weights"](learnt, replace(task, seed=task.seed + 1), alpha=3.0),
        )
    )
    places = [factor < 1 for factor in (lfssd, dealt, again)]
    assert 20 < int(places[0].sum()) < len(before) / 2
    for factor, place in ((dealt, places[1]), (again, places[2])):
        assert int(place.sum()) == int(places[0].sum())
        assert torch.allclose(factor.sort().values, lfssd.sort().values, rtol=1e-6)
    assert not torch.equal(places[0], places[1]) and not torch.equal(places[1], places[2])


# ---- dampening


@pytest.mark.parametrize("n", [1, 5, 20])
def test_assd_dampens_the_share_that_its_formula_says(learnt, few, n):
    scenario = scenarios.forget_random(few, n)
    task = baselines.make(few, scenario, Architecture("resnet18", 8))
    new = METHODS["assd"](learnt, task)
    i_f = importance.fisher(learnt, task.forget_x, task.forget_y).mean
    i_d = importance.fisher(learnt, task.full_x, task.full_y).mean
    f, d = (torch.cat([v.flatten() for v in i.values()]) for i in (i_f, i_d))
    changed = flat(new) != flat(learnt)
    wanted = math.log(1 + 100 * n / 100) / 100 * int((d > 0).sum())
    ratio = torch.where(d > 0, f / d, 0)
    ties = int((ratio == ratio[~changed].max()).sum()) - 1
    assert abs(int(changed.sum()) - wanted) <= 1 + ties and int(changed.sum()) > 5
    assert ratio[changed].min() > 0.999999 * ratio[~changed].max()


def test_alpha_at_a_size_selects_that_many():
    ratio = torch.tensor([5.0, 1.0, 4.0, 2.0, 3.0, 6.0, 7.0, 8.0, 9.0, 10.0])
    assert [int((ratio > alpha_at(ratio, size)).sum()) for size in (10, 30, 50, 99)] == [1, 3, 5, 9]
    dead = torch.tensor([0.0, 0.0, 0.0, 2.0])  # weights that D_f says nothing about
    assert 0 < alpha_at(dead, 100) < 1e-30 and int((dead > alpha_at(dead, 100)).sum()) == 1


@pytest.mark.parametrize("growth", [1.1, 1.5])
def test_xalfssd_dampens_until_the_answers_change_and_no_more(learnt, task, growth):
    """Along the trail of ever larger shares, each time that fewer answers agree than ever before."""
    i_f, i_d = (importance.sensitivity(learnt, x, squared=False) for x in (task.forget_x, task.full_x))
    answers, size = networks.logits(learnt, task.forget_x).argmax(1), percentile_size(len(task.forget_x), 100)
    steps, agree = [], []
    while size < 100 * growth:
        alpha = alpha_at(ratios(i_f, i_d), min(size, 100))
        steps.append(dampening.dampen(learnt, i_f, i_d, alpha, 2.0)[0])  # at lambda 1 few shares are enough
        same_answers = networks.logits(steps[-1], task.forget_x).argmax(1) == answers
        agree.append(int(same_answers.sum()) / len(answers))
        size *= growth
    lows = [k for k in range(1, len(agree)) if agree[k] < min(agree[:k])]
    assert lows, agree
    for k in lows:
        for rho in (agree[k], (agree[k] + min(agree[:k])) / 2):
            how = dict(rho=rho, growth=growth, lam=2.0)
            assert same(METHODS["xalfssd"](learnt, task, **how), steps[k])
    strangers = replace(task, forget_y=task.forget_y * 0, full_y=task.full_y * 0)
    assert same(METHODS["xalfssd"](learnt, strangers, **how), steps[lows[-1]])


def test_xalfssd_ends_when_everything_is_dampened(tiny, task):
    """A rho that no dampening reaches, dead weights (ratio 0) included, and a growth that is none."""
    net = copy.deepcopy(tiny)
    net[1].bias.data[0] = -1e3  # a channel that never fires
    new = METHODS["xalfssd"].run(net, task, rho=-1.0, growth=3.0)
    assert (flat(new) != flat(net)).float().mean() > 0.2
    with pytest.raises(ValueError, match="growth"):
        METHODS["xalfssd"](net, task, growth=1.0)


@pytest.mark.parametrize("batch_size", [1, 5])
def test_the_unsquared_sensitivity_is_that_of_the_float64_loop(tiny, few, batch_size):
    x = few.train_x[:13]
    net = copy.deepcopy(tiny).double()
    expected = {k: torch.zeros_like(p) for k, p in net.named_parameters()}
    batches = x.double().split(batch_size)
    for batch in batches:
        score = net(batch).square().sum(1).sqrt().mean()
        grads = torch.autograd.grad(score, list(net.parameters()))
        for name, g in zip(expected, grads, strict=True):
            expected[name] += g.abs() / len(batches)
    how = dict(reduction="sample" if batch_size == 1 else "batch", batch_size=5)
    found = importance.sensitivity(tiny, x, squared=False, **how)
    assert found.estimator == "norm sensitivity"
    for name, value in expected.items():
        assert float((found.mean[name] - value).abs().max()) < 1e-5 * float(value.max()), name
    with pytest.raises(ValueError, match="lfssd needs sensitivity"):
        unlearn.lfssd(tiny, found, found)


SETTINGS = [{}, {"alpha": 3.0}, {"alpha": 3.0, "lam": 0.5}, {"alpha": 4.0, "reduction": "batch"},
            {"alpha": 4.0, "reduction": "batch", "batch_size": 20}]  # fmt: skip


@pytest.mark.parametrize("how", SETTINGS)
def test_ssd_and_lfssd_are_those_of_the_package(learnt, task, how):
    """An alpha that is left out is the constant in the registry."""
    options = {"batch_size": 64} | how if "reduction" in how else how
    sizes = len(task.full_x), len(task.forget_x)
    by_ssd, by_lfssd = (
        {"alpha": unlearn.default_alpha(name, learnt, *sizes)} | options for name in ("ssd", "lfssd")
    )
    with_labels = (task.forget_x, task.forget_y), (task.full_x, task.full_y)
    ssd = unlearn.ssd(learnt, *with_labels, **by_ssd).model
    lfssd = unlearn.lfssd(learnt, task.forget_x, task.full_x, **by_lfssd).model
    assert same(METHODS["ssd"](learnt, task, **how), ssd) and not same(ssd, learnt)
    assert same(METHODS["lfssd"](learnt, task, **how), lfssd) and not same(lfssd, learnt)


@pytest.mark.parametrize("name", ["ssd", "lfssd"])
def test_scale_is_alpha_as_a_share_of_the_ceiling(learnt, task, name):
    alpha = 0.3 * 100 / len(task.forget_x)
    assert same(METHODS[name](learnt, task, scale=0.3), METHODS[name](learnt, task, alpha=alpha))
    assert same(METHODS[name](learnt, task, scale=1.001), learnt)
    with pytest.raises(ValueError, match="alpha or scale, not both"):
        METHODS[name](learnt, task, alpha=3.0, scale=0.3)
    with pytest.raises(ValueError, match="batch_size must be a whole number from 1 up"):
        METHODS[name](learnt, task, batch_size=0)


# ---- NTK scrubbing


def ridge_regression(x, y, ridge):
    """Weights and bias that minimise |Wx + b - Y|^2 / 2 + ridge (|W|^2 + |b|^2) / 2, by themselves."""
    a = torch.cat([x.flatten(1), torch.ones(len(x), 1, dtype=x.dtype)], 1)
    solution = torch.linalg.solve(a.T @ a + ridge * torch.eye(65).double(), a.T @ F.one_hot(y, 10).double())
    return solution[:-1].T, solution[-1]


@pytest.mark.parametrize("n", [30, 100])  # fewer and more equations than the 650 weights
def test_ntk_scrubbing_is_exact_for_a_linear_model(few, n):
    x, y, ridge = few.train_x[:n].double(), few.train_y[:n], 0.7
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double().eval()
    net[1].weight.data, net[1].bias.data = ridge_regression(x, y, ridge)
    keep = torch.arange(n) % 5 != 0
    task = Task(x[~keep], y[~keep], x[keep], y[keep], x, y)
    new = METHODS["ntk_scrubbing"](net, task, ridge=ridge)
    weight, bias = ridge_regression(x[keep], y[keep], ridge)
    assert (net[1].weight - weight).abs().max() > 1e-3
    assert (new[1].weight - weight).abs().max() < 1e-8 and (new[1].bias - bias).abs().max() < 1e-8


@pytest.mark.parametrize("n", [20, 100])
def test_both_ways_to_the_linearised_optimum_agree(tiny, few, n):
    """Through N K equations or through P weights, whichever are fewer; here both, on a small network."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 10)).double()
    x, y, ridge = few.train_x[:n], few.train_y[:n], 0.3
    j, theta = jacobian(net, x), flat(net)
    assert (len(j) < len(theta)) == (n == 20)
    k = 13
    z = net(x[k // 10, None].double())[0, k % 10]
    row = torch.cat([g.flatten() for g in torch.autograd.grad(z, list(net.parameters()))])
    assert torch.allclose(j[k], row, atol=1e-12)
    residual = (F.one_hot(y, 10) - net(x.double())).detach().flatten() + j @ theta
    primal = torch.linalg.solve(j.T @ j + ridge * torch.eye(len(theta)).double(), j.T @ residual)
    dual = j.T @ torch.linalg.solve(j @ j.T + ridge * torch.eye(len(j)).double(), residual)
    found = linearised_optimum(net, x, y, ridge)
    assert torch.allclose(found, primal, atol=1e-9) and torch.allclose(found, dual, atol=1e-9)


def test_too_large_a_jacobian_is_refused(digits):
    architecture = Architecture("resnet18", 16)
    task = baselines.make(digits, scenarios.forget_class(digits, 3), architecture)
    with pytest.raises(ValueError, match=r"1255 samples x 10 logits x \d{6} weights.*smaller network"):
        METHODS["ntk_scrubbing"](networks.build(architecture, digits), task)
