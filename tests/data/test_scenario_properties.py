"""Properties of scenarios, whatever the data, kind, seed and target."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from lfssd_nb.data import Dataset, scenarios

ALWAYS = settings(deadline=None, database=None, derandomize=True)  # the same examples on every machine
KINDS = some.sampled_from(scenarios.KINDS)


@some.composite
def data_sets(draw) -> Dataset:
    """A few samples of two to four classes, each in one of two super-classes, of two to three people."""
    k, n, m = draw(some.integers(2, 4)), draw(some.integers(4, 30)), draw(some.integers(1, 12))
    labels, people = some.integers(0, k - 1), some.integers(0, draw(some.integers(1, 2)))
    columns = [
        draw(some.lists(of, min_size=size, max_size=size)) for of in (labels, people) for size in (n, m)
    ]
    mine = Dataset.from_tensors(
        torch.arange(float(n))[:, None], columns[0], torch.arange(float(m))[:, None], columns[1],
        classes=[f"c{c}" for c in range(k)], parents=[c % 2 for c in range(k)], superclasses=["even", "odd"],
        train_group=columns[2], test_group=columns[3],
    )  # fmt: skip
    return mine.coarsen() if draw(some.booleans()) else mine


@some.composite
def settings_of(draw) -> tuple:
    """A data set with a scenario of it (None where it would be empty, or all of D)."""
    mine, kind, seed = draw(data_sets()), draw(KINDS), draw(some.integers(0, 2**32 - 1))
    n = len(mine.train_y)
    names = dict(**{"class": mine.classes}, subclass=mine.subclasses or (), group=mine.groups)
    several = some.lists(some.integers(0, len(mine.classes) - 1), min_size=1, max_size=3, unique=True)
    target = {
        "random": some.integers(1, n - 1),
        "classes": several.map(lambda numbers: "+".join(map(str, numbers))),
        "index": some.lists(some.integers(0, n - 1), min_size=1, max_size=n - 1, unique=True).map(
            lambda numbers: "+".join(map(str, numbers))
        ),
    }.get(kind, some.integers(0, max(0, len(names.get(kind, ())) - 1)))
    try:
        return mine, scenarios.make(mine, kind, draw(target), seed)
    except ValueError as error:
        said = ("forget set is empty", "all of D", "no super-class labels", "a number or a name")
        assert any(each in str(error) for each in said), error
        return mine, None


@settings(ALWAYS, max_examples=200)
@given(settings_of())
def test_what_is_forgotten_and_what_is_retained_partition_both_sets(setting):
    mine, scenario = setting
    if scenario is None:
        return
    for forget, retain, labels in (
        (scenario.forget, scenario.retain, mine.train_y),
        (scenario.test_forget, scenario.test_retain, mine.test_y),
    ):
        assert torch.equal(torch.cat([forget, retain]).sort().values, torch.arange(len(labels)))
        assert torch.equal(forget, forget.sort().values) and torch.equal(retain, retain.sort().values)
    assert len(scenario.forget) and len(scenario.retain) and scenario.ceiling > 1
    scenarios.check(mine, scenario)


@settings(ALWAYS, max_examples=100)
@given(settings_of(), some.integers(0, 2**32 - 1))
def test_by_label_all_of_a_kind_and_no_other_sample_goes(setting, seed):
    mine, scenario = setting
    if scenario is None:
        return
    columns = {"class": (mine.train_y, mine.test_y), "subclass": (mine.train_sub, mine.test_sub)}
    columns["group"] = mine.train_group, mine.test_group
    if scenario.kind in columns:
        train, test = columns[scenario.kind]
        gone = train[scenario.forget].unique()
        assert len(gone) == 1 and not torch.isin(gone, train[scenario.retain]).any()
        assert (test[scenario.test_forget] == gone).all() and not (test[scenario.test_retain] == gone).any()
    if scenario.kind == "random":
        n = len(scenario.forget)
        drawn = [scenarios.make(mine, "random", n, seed).forget for _ in range(2)]
        assert len(drawn[0]) == n and torch.equal(*drawn)


@settings(ALWAYS, max_examples=200)
@given(settings_of(), data_sets())
def test_the_scenario_of_other_data_is_refused(setting, other):
    mine, scenario = setting
    if scenario is None or other.fingerprint == mine.fingerprint:
        return
    with pytest.raises(ValueError, match="belongs to other data"):
        scenarios.check(other, scenario)


@settings(ALWAYS, max_examples=100)
@given(settings_of(), some.data())
def test_a_scenario_by_hand_that_is_no_partition_is_refused(setting, draw):
    """One position of the forget set is another one's in its place, or is outside."""
    mine, scenario = setting
    if scenario is None:
        return
    at = draw.draw(some.integers(0, len(scenario.forget) - 1))
    others = [k for k in range(-1, len(mine.train_y) + 1) if k != int(scenario.forget[at])]
    forget = scenario.forget.clone()
    forget[at] = draw.draw(some.sampled_from(others))
    with pytest.raises(ValueError, match=r"each once: make it with scenarios\.from_index"):
        scenarios.check(mine, replace(scenario, forget=forget))


def test_the_same_labels_under_other_names_are_other_data():
    """Folders of pictures often have as many of each class in the same order."""
    x, y = torch.rand(8, 2), torch.tensor([0, 1] * 4)
    cats, cars = (
        Dataset.from_tensors(x, y, x, y, classes=names) for names in (("cat", "dog"), ("van", "bus"))
    )
    for scenario in (scenarios.from_index(cats, [3]), scenarios.forget_random(cats, 2)):
        scenarios.check(cats, scenario)
        with pytest.raises(ValueError, match=r"as many samples, but other labels or names of them\. Make it"):
            scenarios.check(cars, scenario)


def test_a_scenario_on_another_device_says_so():
    x, y = torch.rand(8, 2), torch.tensor([0, 1] * 4)
    mine = Dataset.from_tensors(x, y, x, y)
    with pytest.raises(
        ValueError, match=r"positions are on cpu, meta, 'my data' is on cpu: make it from this data"
    ):
        scenarios.check(mine, replace(scenarios.from_index(mine, [3]), forget=torch.zeros(1, device="meta")))
