"""alpha left out: chosen where there are samples, a constant where there are not. What cannot be chosen for
is refused with the remedy, whatever the inputs, the outputs and the state in which the caller is."""

import copy
import warnings
from collections import namedtuple

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lfssd_nb import agreement, baselines, lab, samples, unlearn
from lfssd_nb.dampening import dampen
from lfssd_nb.data import scenarios
from lfssd_nb.importance import fisher, sensitivity
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.redampen import Anew, Dial
from lfssd_nb.system.stopwatch import counting

pytestmark = pytest.mark.filterwarnings("ignore:.*changed nothing")


@pytest.fixture(scope="module")
def x(digits):
    return digits.train_x[:120]


@pytest.fixture(scope="module")
def y(digits):
    return digits.train_y[:120]


@pytest.fixture(scope="module")
def three(y):
    return (y == 3).nonzero()[:, 0]


@pytest.fixture(scope="module")
def chosen(tiny, x, three):
    return unlearn.lfssd(tiny, x[three], x, alpha="agreement")


def same(one, other) -> bool:
    return all(map(torch.equal, one.parameters(), other.parameters()))


def test_samples_on_both_sides_choose_and_a_ready_importance_means_the_constant(tiny, x, y, three, chosen):
    done = unlearn.lfssd(tiny, x[three], x)
    assert done.alpha == done.choice.alpha == chosen.alpha and same(done.model, chosen.model)
    for pair in ((chosen.forget, chosen.full), (x[three], chosen.full), (chosen.forget, x)):
        ready = unlearn.lfssd(tiny, *pair)
        assert ready.choice is None and ready.alpha == pytest.approx(0.4 * len(x) / len(three))
    by_labels = unlearn.ssd(tiny, (x[three], y[three]), (x, y))
    i_f, i_d = fisher(tiny, x[three], y[three]), fisher(tiny, x, y)
    assert by_labels.alpha == agreement.chosen(tiny, i_f, i_d, x[three], x).alpha
    assert unlearn.ssd(tiny, i_f, i_d).alpha == pytest.approx(0.65 * len(x) / len(three))


def test_batch_means_are_chosen_for_and_have_no_constant(tiny, x, three):
    how = dict(reduction="batch", batch_size=12)
    assert unlearn.lfssd(tiny, x[three], x, **how).choice.samples > len(x)
    pair = [sensitivity(tiny, part, **how) for part in (x[three], x)]
    for given, options in ((pair, {}), ((x[three], pair[1]), how)):
        with pytest.raises(ValueError, match=r"no scale-free alpha: give alpha .* samples of D_f and of D"):
            unlearn.lfssd(tiny, *given, **options)


@pytest.mark.parametrize("method", ["lfssd", "ssd"])
def test_the_laboratory_and_the_registry_take_the_constant(few, tiny, method):
    scenario = scenarios.forget_class(few, 3)
    done = lab.forget(method, tiny, few, scenario)
    constant = unlearn.default_alpha(method, tiny, len(few.train_x), len(scenario.forget))
    assert done.choice is None and done.alpha == constant
    task = baselines.make(few, scenario, Architecture("resnet18", 8))
    by_name = baselines.get(method)(tiny, task)
    assert all(map(torch.allclose, by_name.parameters(), done.model.parameters()))
    assert lab.forget(method, tiny, few, scenario, alpha="agreement").choice.samples > 0
    with pytest.raises(ValueError, match="no scale-free alpha"):
        lab.forget(method, tiny, few, scenario, reduction="batch", batch_size=9)


def test_the_cost_is_counted(tiny, x, three):
    with counting(type(tiny)) as bare:
        sensitivity(tiny, x[three]), sensitivity(tiny, x)
    with counting(type(tiny)) as seen:
        done = unlearn.lfssd(tiny, x[three], x)
    assert len(x) < done.choice.samples <= 25 * len(x) and seen[0] - bare[0] == done.choice.samples


def test_the_model_and_the_surroundings_are_left_alone(model, x, three, chosen):
    modes = [m.training for m in model.modules()]
    before, state = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    with torch.autocast("cpu", torch.bfloat16):
        done = unlearn.lfssd(model, x[three], x)
        assert torch.is_autocast_enabled("cpu")
    assert same(done.model, chosen.model) and done.choice.samples == chosen.choice.samples
    assert modes == [m.training for m in model.modules()] == [m.training for m in done.model.modules()]
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():
        assert unlearn.lfssd(model, x[three], x).alpha == chosen.alpha


Pair = namedtuple("Pair", "image labels")
FORMS = {
    "a loader": lambda x, y: DataLoader(TensorDataset(x, y), 50),
    "a loader that shuffles": lambda x, y: DataLoader(TensorDataset(x, y), 50, shuffle=True),
    "a data set": lambda x, y: TensorDataset(x, y),
    "a list of batches": lambda x, y: list(zip(x.split(50), y.split(50), strict=True)),
    "single samples": lambda x, y: list(zip(x.split(1), y.split(1), strict=True)),
    "an array": lambda x, y: x.double().numpy(),
    "a dictionary": lambda x, y: {"input": x, "labels": y},
    "named tuples": lambda x, y: [Pair(*each) for each in zip(x.split(50), y.split(50), strict=True)],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_input_chooses_alike(tiny, x, y, three, chosen, form):
    done = unlearn.lfssd(tiny, FORMS[form](x[three], y[three]), FORMS[form](x, y))
    assert done.choice.curve.kept.to_numpy() == pytest.approx(chosen.choice.curve.kept.to_numpy(), abs=0.05)
    assert done.alpha == pytest.approx(chosen.alpha, rel=1e-5)


def test_labels_that_forward_is_given_do_not_reach_the_choice(tiny, x, y, three):
    def by(labels):
        how = dict(forward=lambda model, batch: model(batch["x"]))
        sets = ([{"x": x[i], "labels": 1000.0 * labels[i]}] for i in (three, slice(None)))
        return unlearn.lfssd(tiny, *sets, **how).choice

    one, other = by(y), by(torch.randperm(120, generator=torch.Generator().manual_seed(0)))
    assert one.aim == other.aim and one.curve.equals(other.curve)


def test_the_entries_of_a_dictionary_may_come_in_any_order(tiny, x, three):
    forget, full = {"a": -x[three], "b": x[three]}, {"b": x, "a": -x}
    few, rest = samples.draw(forget, full, len(three), 120, next(tiny.parameters()))
    assert sum(map(len, rest)) == 120 - len(three)
    few, rest = samples.rows(few, rest)
    assert torch.equal(few, torch.cat([-x[three].flatten(1), x[three].flatten(1)], 1)) and len(rest) > 9


class Words(nn.Module):
    """Mean of the embeddings of what is no padding, to three logits."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(40, 8, padding_idx=0), nn.Linear(8, 3)

    def forward(self, words):
        there = (words > 0).float()[..., None]
        return self.head((self.embed(words) * there).sum(1) / there.sum(1))


def texts():
    draw = torch.Generator().manual_seed(0)
    lengths = torch.randint(3, 12, (90,), generator=draw).tolist()
    return [torch.randint(1, 40, (n,), generator=draw) for n in lengths]


def test_samples_as_vectors_of_bytes_and_of_complex_numbers(x):
    two = torch.complex(x, -x)
    few, _ = samples.rows([samples.Batch(two[:4])], [samples.Batch(two[4:9])])
    assert few.shape == (4, 128) and torch.equal(few[:, ::2], x[:4].flatten(1))
    drawn = samples.draw(two[:20], two, 20, 120, two.real)
    assert [sum(map(len, part)) for part in drawn] == [20, 100]
    bytes_, whole = (samples.rows([samples.Batch(t)], [samples.Batch(t)])[0] for t in (x.byte(), x.long()))
    assert bytes_.is_floating_point() and not whole.is_floating_point()


def test_what_is_padded_to_the_longest_of_its_batch_is_recognised():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Words()

    def loader(part):
        return DataLoader(part, 7, collate_fn=lambda each: nn.utils.rnn.pad_sequence(each, batch_first=True))

    all_of_it = texts()
    forget, whole = loader(all_of_it[:30]), loader(all_of_it)
    done = unlearn.lfssd(model, forget, whole)
    like = next(model.parameters())
    few, rest = samples.draw(forget, whole, 30, 90, like)
    assert sum(map(len, few)) == 30 and sum(map(len, rest)) == 60
    a, b = samples.rows(few, rest)
    assert a.shape[1] == b.shape[1] == 11 and done.choice.samples >= 90


def test_of_a_large_d_the_drawn_samples_go_forward_in_full_batches(x, monkeypatch):
    monkeypatch.setattr(samples, "SAMPLES", 20)
    few, rest = samples.draw(
        x[:100], list(x.split(1)), 100, 120, next(nn.Linear(1, 1).parameters()), batch_size=8
    )
    assert sum(map(len, few)) == 20 and max(map(len, few)) <= 8
    assert max(map(len, rest)) <= 8 and len(rest) <= 3
    found = torch.cat([batch.inputs for batch in rest])
    assert 5 <= len(found) <= 20, "half of the 20 are to be expected where five of six samples are of D_f"
    left = {row.numpy().tobytes() for row in x[100:]}
    assert {row.numpy().tobytes() for row in found} <= left


class Places(nn.Module):
    """``[N, K, 8, 8]`` logits for a picture, or at each of eight places ``[N, 8, K]``."""

    def __init__(self, picture: bool):
        super().__init__()
        self.picture, self.one = picture, nn.Conv2d(1, 3, 3, padding=1)

    def forward(self, x):
        z = self.one(x)
        return z if self.picture else z.mean(3).movedim(1, 2)


@pytest.mark.parametrize("picture", [True, False])
def test_answers_at_several_places(x, three, picture):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Places(picture)
    classes = 1 if picture else 2
    (answers,) = agreement._answers(model, [[samples.Batch(x)]], None)
    assert torch.equal(answers, model(x).argmax(classes)) and answers.shape[1:] == (
        (8, 8) if picture else (8,)
    )
    assert unlearn.lfssd(model, x[three], x).choice.curve.kept.between(0, 1).all()


def test_one_logit_with_two_answers_and_with_one(x, three):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 6), nn.ReLU(), nn.Linear(6, 1))
    with torch.no_grad():
        model[-1].bias -= model(x).median()
    assert unlearn.lfssd(model, x[three], x).choice.curve.left.lt(1).any()
    model[-1].bias.data += 100
    with pytest.raises(ValueError, match=r"all 120 samples the same answer.*, or give alpha yourself"):
        unlearn.lfssd(model, x[three], x)
    assert unlearn.lfssd(model, x[three], x, alpha=1.1).choice is None


def test_parameters_of_two_types_and_importances_elsewhere(model, x, three):
    model[4].double()
    double = nn.Sequential(*model[:4], nn.Flatten(), Widened(model[4]))
    done = unlearn.lfssd(double, x[three], x, offload="cpu")
    by_hand = dampen(double, done.forget, done.full, done.alpha)[0]
    assert done.choice and same(done.model, by_hand)
    with pytest.raises(ValueError, match="parameters of several kinds"):
        Dial(double, done.forget, done.full)


class Widened(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x.double()).float()


def test_anew_is_the_dial_to_the_last_bit(tiny, chosen, x, three):
    dial, anew = Dial(tiny, chosen.forget, chosen.full), Anew(tiny, chosen.forget, chosen.full)
    assert dial.largest == anew.largest == chosen.largest_ratio
    for alpha in (1.0, 1.7, anew.largest):
        assert dial.count(alpha) == anew.count(alpha)
        assert same(dial.at(alpha, 0.5), anew.at(alpha, 0.5))
    one, other = (agreement.choose(d, x[three], x) for d in (dial, anew))
    assert one.curve.equals(other.curve) and one.samples == other.samples


def test_where_no_weight_is_above_the_range_the_original_is_chosen(tiny, x, three):
    for full, how, says in (
        (x, dict(lam=1e6), r"ratio is [\d.]+, so no alpha changes a weight at lam=1e\+06: take a lam below"),
        (
            torch.cat([x, 0 * x[:5]]),
            {},
            r"ratio is (0|1)(\.\d+)?, so nothing in the model belongs to D_f more",
        ),
    ):
        forget = x[three] if how else full[-5:]
        model = tiny if how else nn.Sequential(nn.Flatten(), nn.Linear(64, 10, bias=False))
        with pytest.warns(UserWarning, match=says) as caught:
            done = unlearn.lfssd(model, forget, full, **how)
        assert caught[0].filename == __file__
        assert same(done.model, model) and len(done.choice.curve) == 1
        assert done.choice.samples == len(full) and done.selected_share == 0


def test_a_choice_that_is_the_original_says_that_nothing_changed(tiny, chosen, x, three, monkeypatch):
    curve = chosen.choice.curve
    last = agreement.Agreement(float(curve.alpha.iloc[-1]), 1.0, curve, 9)
    monkeypatch.setattr(agreement, "chosen", lambda *_, **__: last)
    with pytest.warns(
        UserWarning, match="changed nothing: .* no smaller alpha agrees better, see choice.curve"
    ):
        unlearn.lfssd(tiny, x[three], x)


def test_a_threshold_that_leaves_d_f_as_it_was_is_not_passed_over_in_silence(
    tiny, chosen, x, three, monkeypatch
):
    def given(left, aim):
        curve = chosen.choice.curve.assign(left=left)
        monkeypatch.setattr(
            agreement, "chosen", lambda *_, **__: agreement.Agreement(chosen.alpha, aim, curve, 9)
        )
        return unlearn.lfssd(tiny, x[three], x)

    with pytest.warns(
        UserWarning, match=r"forgot little: .* 90% of .* aim is 0%.* A smaller lam than 1"
    ) as w:
        assert given(0.9, 0.0).falls_short
    assert w[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for left, aim in ((0.4, 0.0), (1.0, 0.9), (1.0, 1.0)):
            assert not given(left, aim).falls_short
        assert not unlearn.lfssd(tiny, x[three], x, alpha=chosen.alpha).falls_short


class Once:
    """Batches that are there at the first reading."""

    def __init__(self, x):
        self.batches = list(x.split(40))

    def __iter__(self):
        while self.batches:
            yield self.batches.pop(0)


REFUSED = {
    "a generator as D": (lambda m, f, x: unlearn.lfssd(m, f, (b for b in x.split(40))), "D is an iterator"),
    "a generator as D_f": (lambda m, f, x: unlearn.lfssd(m, (b for b in f), x), "D_f is an iterator"),
    "an iterator over a loader": (lambda m, f, x: unlearn.lfssd(m, f, iter(DataLoader(x, 40))), "D is an it"),
    "what is empty the second time": (lambda m, f, x: unlearn.lfssd(m, f, Once(x)), "120 .* and has 0 now"),
    "D_r without D_f": (lambda m, f, x: unlearn.lfssd(m, x, x[:50]), "is not inside D"),
    "nothing else in D": (
        lambda m, f, x: unlearn.lfssd(m, x[:1], x[[0, 0, 0, 1]]), "of 4 samples of D 1 are not in D_f, too"),
    "noise at every reading": (
        lambda m, f, x: agreement.chosen(m, sensitivity(m, f), sensitivity(m, x), f, x + 0.01), "augmented"),
    "another model in forward": (
        lambda m, f, x: unlearn.lfssd(m, f, x, forward=lambda _, batch: m(batch)), "forward does not use"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_chosen_for_is_refused_and_alpha_is_the_remedy(tiny, x, three, name):
    ask, says = REFUSED[name]
    with pytest.raises(ValueError, match=says):
        ask(tiny, x[three], x)


def test_what_forward_calls_in_place_of_its_model_is_left_alone(model, x, three):
    model.train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(ValueError, match="forward does not use the model that it is given"):
        unlearn.lfssd(model, x[three], x, forward=lambda _, batch: model(batch))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items()) and model[1].training


def test_a_generator_is_read_once_where_alpha_is_given(tiny, x, three, chosen):
    done = unlearn.lfssd(tiny, x[three], (b for b in x.split(40)), alpha=chosen.alpha)
    assert same(done.model, chosen.model) or done.report.selected.sum() > 0


def test_refused_before_a_generator_is_touched(tiny, x, three):
    batches = iter(x.split(40))
    with pytest.raises(ValueError, match=r"D is an iterator, which can be read once.*or give alpha yourself"):
        unlearn.lfssd(tiny, x[three], batches)
    assert len(list(batches)) == 3


def test_answers_whose_shape_changes_are_refused():
    class Each(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(40, 5)

        def forward(self, words):
            return self.embed(words)

    batches = [text[None] for text in texts()]
    with pytest.raises(
        ValueError, match=r"the shape of an answer changes .* pad all samples to one length, or"
    ):
        unlearn.lfssd(Each(), batches[:20], batches)


def test_a_nan_in_the_inputs_that_the_model_is_deaf_to(tiny, x, three):
    class Deaf(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = copy.deepcopy(tiny)

        def forward(self, x):
            return self.net(x.nan_to_num(0))

    gaps = x.clone()
    gaps[::3, 0, 0, 0] = float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = unlearn.lfssd(Deaf(), gaps[three], gaps)
    zeros = unlearn.lfssd(tiny, gaps[three].nan_to_num(0), gaps.nan_to_num(0))
    assert done.choice.aim == zeros.choice.aim and done.alpha == pytest.approx(zeros.alpha, rel=1e-5)
