"""Data of your own: tensors, folders, tables; and scenarios that belong to them."""

import inspect
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import lfssd_nb
from lfssd_nb import data, lab
from lfssd_nb.data import Dataset, encode, orders, scenarios
from lfssd_nb.data.show import Curves, Images, Rows, Tokens

X, Y = torch.randn(12, 3, generator=torch.Generator().manual_seed(1)), torch.arange(12) % 3


def made(**changes) -> Dataset:
    arguments = dict(train_x=X[:9], train_y=Y[:9], test_x=X[9:], test_y=Y[9:]) | changes
    return Dataset.from_tensors(**arguments)


# ---- from tensors


def test_lists_arrays_and_tensors_are_the_same():
    a, b = made(), made(train_x=X[:9].tolist(), train_y=Y[:9].numpy(), test_x=X[9:].double().numpy())
    assert torch.equal(a.train_x, b.train_x) and torch.equal(a.train_y, b.train_y)
    assert a.train_x.dtype == torch.float32 and a.train_y.dtype == torch.int64
    assert a.classes == ("0", "1", "2") and isinstance(a.show, Rows)


def test_names_become_numbers_in_their_order():
    names = np.array(["cat", "ant", "bee"])
    d = made(train_y=names[Y[:9]], test_y=names[Y[9:]], train_group=["b"] * 9, test_group=["a"] * 3)
    assert d.classes == ("ant", "bee", "cat") and d.train_y.tolist()[:3] == [2, 0, 1]
    assert d.groups == ("a", "b") and d.train_group.tolist() == [1] * 9 and d.test_group.tolist() == [0] * 3
    ordered = made(train_y=names[Y[:9]], test_y=names[Y[9:]], classes=["cat", "bee", "ant"])
    assert ordered.train_y.tolist()[:3] == [0, 2, 1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (dict(train_y=Y[:8]), "train_y has 8 entries for 9 samples"),
        (dict(train_y=-Y[:9]), "train_y holds -2 to 0, but there are 3 classes"),
        (
            dict(train_y=Y[:9], classes=["a", "b"]),
            r"train_y holds 0 to 2, but there are 2 classes \(0 to 1\)",
        ),
        (dict(train_y=[0.5] * 9), "must be class numbers or names, got float64"),
        (dict(train_y=["x"] * 9, test_y=["y"] * 3, classes=["x"]), "holds 'y', which is none of the names"),
        (dict(train_x=X[:9] / 0), r"train_x has \d+ NaN or infinite numbers: drop or fill them"),
        (dict(train_x=X[:9, 0]), r"samples \[N, ...\] of at least one number, got \[9\]"),
        (dict(train_x=X[:0]), "got \\[0, 3\\]"),
        (dict(train_x=[["a"]] * 9), "train_x is no array of numbers"),
        (dict(test_x=X[9:, :2]), "both must be alike"),
        (dict(test_x=torch.zeros(3, 3).long()), "both must be alike"),
        (dict(train_group=[1] * 9), "give train_group and test_group, or neither"),
        (dict(parents=[0, 1], superclasses=["a", "b"]), "2 parents for 3 classes"),
        (dict(parents=[0, 1, 2], superclasses=["a", "b"]), "parents 0 to 2 for 2 superclasses"),
        (dict(parents=[0, 1, 1]), "give parents .* and superclasses .*, or neither"),
        (dict(classes=["a", "a", "b"]), "classes names 'a' twice"),
        (dict(train_y=["a", None] * 4 + ["a"]), "train_y, test_y has missing entries"),
        (dict(train_x=X[:9].to(torch.complex64)), "is torch.complex64: give real numbers"),
        (dict(train_x=torch.zeros(9, 4, 4, 3).byte()), "holds bytes .*: images are float"),
        (dict(train_x=[[1.0], [1.0, 2.0]]), "samples need one shape"),
    ],
)
def test_what_does_not_fit_is_named(changes, said):
    with pytest.raises(ValueError, match=said):
        made(**changes)


def test_numbers_that_begin_above_zero_are_names():
    d = made(train_y=Y[:9] + 1, test_y=Y[9:] + 1, train_group=[*range(2, 11)], test_group=[10, 2, 3])
    assert d.classes == ("1", "2", "3") and d.train_y.tolist() == Y[:9].tolist()
    assert d.groups == tuple(map(str, range(2, 11)))  # by size: 10 comes last
    assert scenarios.make(d, "class", "1").target == "1"
    with pytest.raises(ValueError, match="is class 1 a number or a name"):
        scenarios.forget_class(d, 1)
    with pytest.raises(ValueError, match=r"is given by its number or name, got 1.5"):
        scenarios.forget_class(d, 1.5)


def test_a_class_tree_of_my_own():
    d = made(parents=[0, 0, 1], superclasses=["low", "high"]).coarsen()
    assert d.classes == ("low", "high") and d.subclasses == ("0", "1", "2") and d.name == "my data, coarse"
    scenario = scenarios.make(d, "subclass", "2")
    assert d.train_sub[scenario.forget].unique().tolist() == [2]


def test_samples_are_shown_as_what_they_are():
    kinds = {Rows: X, Tokens: X.long().abs(), Curves: X[:, None], Images: X.view(12, 3, 1, 1)}
    figure, ax = plt.subplots()
    for kind, x in kinds.items():
        d = Dataset.from_tensors(x[:9], Y[:9], x[9:], Y[9:])
        assert isinstance(d.show, kind)
        d.show.draw(ax, d.test_x[0])
    plt.close(figure)
    assert d.images(d.train_x).min() >= 0 and d.images(d.train_x).max() <= 1
    with pytest.raises(ValueError, match=r"holds no images: draw a sample with data.show.draw"):
        made().images(X)
    assert data.load("names", device="cpu").show.read(torch.tensor([1, 0, 0])) != ""


def test_groups_survive_a_subset_and_a_move():
    watch = data.load("watch", device="cpu")
    few = watch.subset(140)
    assert len(few.train_group) == 140 == len(few.train_sub) and few.groups == watch.groups
    moved = few.to("cpu")
    assert torch.equal(moved.train_group, few.train_group) and moved.fingerprint == few.fingerprint


# ---- from a folder, from a table


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        for k in range(10):
            Image.fromarray(rng.integers(0, 255, (20, 30, 3), np.uint8)).save(tmp_path / name / f"{k}.png")
    return tmp_path


def test_a_folder_of_images(folder):
    d = Dataset.from_folder(folder, size=8, group=lambda path: path.stem)
    assert d.classes == ("ant", "bee") and d.train_x.shape == (16, 3, 8, 8) and len(d.test_y) == 4
    assert torch.bincount(d.train_y).tolist() == [8, 8] and len(d.groups) == 10
    assert d.train_x.mean((0, 2, 3)).abs().max() < 1e-5
    again = Dataset.from_folder(folder, size=8)
    assert torch.equal(d.train_x, again.train_x)
    assert Dataset.from_folder(folder, size=8, grey=True).train_x.shape[1] == 1
    assert not torch.equal(Dataset.from_folder(folder, size=8, seed=1).test_x, d.test_x)


def test_a_folder_that_is_split_already(folder):
    for part in ("train", "test"):
        (folder / part).mkdir()
    for name in ("ant", "bee"):
        (folder / "test" / name).mkdir()
        for k in range(3):
            (folder / name / f"{k}.png").rename(folder / "test" / name / f"{k}.png")
        (folder / name).rename(folder / "train" / name)
    d = Dataset.from_folder(folder, size=8)
    assert len(d.train_y) == 14 and len(d.test_y) == 6
    (folder / "test").rename(folder / "val")
    assert torch.equal(Dataset.from_folder(folder, size=8).test_x, d.test_x)
    (folder / "val").rename(folder / "other")
    with pytest.raises(ValueError, match="holds train/ but no test/"):
        Dataset.from_folder(folder)


def test_folders_that_are_no_folders_of_images(folder, tmp_path):
    with pytest.raises(
        FileNotFoundError, match="does not exist: give a folder that holds one folder of images"
    ):
        Dataset.from_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no images by class"):
        Dataset.from_folder(tmp_path / "empty")
    (tmp_path / "empty").rmdir()
    (folder / "ant" / "0.png").write_text("no image")
    with pytest.raises(ValueError, match=r"0.png cannot be read as an image"):
        Dataset.from_folder(folder)
    Image.fromarray(np.full((4, 4), 60000, np.uint16)).save(folder / "ant" / "0.png")
    with pytest.raises(ValueError, match=r"0.png has more than 8 bits a channel \(mode I"):
        Dataset.from_folder(folder)
    with pytest.raises(ValueError, match="test must be a share between 0 and 1, got 2"):
        (folder / "ant" / "0.png").unlink()
        Dataset.from_folder(folder, test=2)


def test_a_table_is_standardised_by_its_training_part():
    table = pd.DataFrame(
        {"a": range(20), "b": [True, False] * 10, "kind": ["x", "y"] * 10, "who": [1, 2] * 10}
    )
    d = Dataset.from_table(table, "kind", group="who", columns=["a", "b"])
    assert d.classes == ("x", "y") and d.groups == ("1", "2") and d.train_x.shape == (16, 2)
    assert d.train_x.mean(0).abs().max() < 1e-6 and (d.train_x.std(0, correction=0) - 1).abs().max() < 1e-5
    array = np.column_stack([np.arange(20.0), np.arange(20) % 2])
    assert Dataset.from_table(array, 1).train_x.shape == (16, 1)


@pytest.mark.parametrize(
    ("change", "label", "said"),
    [
        ({}, "none", "has no column 'none'; it has"),
        (
            {"a": ["text"] * 20},
            "kind",
            "column 'a' holds no numbers: turn it into some with pandas.get_dummies",
        ),
        ({"a": [float("nan")] * 20}, "kind", "column 'a' has missing or infinite values"),
        ({"kind": [None] * 20}, "kind", "the label column 'kind' has missing values"),
        ({"kind": ["x"] * 19 + ["y"]}, "kind", "every class needs two"),
    ],
)
def test_tables_that_do_not_fit(change, label, said):
    table = pd.DataFrame({"a": range(20), "kind": ["x", "y"] * 10} | change)
    with pytest.raises(ValueError, match=said):
        Dataset.from_table(table, label)


# ---- scenarios


def test_a_group_is_forgotten_across_classes():
    watch = data.load("watch", device="cpu")
    scenario = scenarios.make(watch, "group", "subject 3")
    number = watch.groups.index("subject 3")
    assert set(watch.train_group[scenario.forget].tolist()) == {number}
    assert number not in watch.train_group[scenario.retain]
    assert len(watch.train_y[scenario.forget].unique()) == 7 and len(scenario.test_forget) > 0
    assert torch.equal(scenarios.make(watch, "group", number).forget, scenario.forget)


def test_several_classes_and_any_positions(digits):
    two = scenarios.make(digits, "classes", "3+8")
    assert set(digits.train_y[two.forget].tolist()) == {3, 8} and two.target == "3, 8"
    assert set(digits.test_y[two.test_forget].tolist()) == {3, 8}
    assert scenarios.make(digits, "index", "0+7").forget.tolist() == [0, 7]
    assert scenarios.make(digits, "index", 5).forget.tolist() == [5]


@pytest.mark.parametrize(
    ("kind", "target", "said"),
    [
        ("group", 0, "'digits' has no groups: pass train_group"),
        ("classes", "", "unknown class ''"),
        ("classes", "3+3", "each once"),
        ("classes", "3+77", "unknown class 77"),
        ("index", "3,4", "like '0\\+7\\+12', got '3,4'"),
        ("index", "-1", "like '0"),
        ("index", "0+0", "names a sample twice"),
        ("index", "99999", "not inside D"),
    ],
)
def test_impossible_targets(digits, kind, target, said):
    with pytest.raises(ValueError, match=said):
        scenarios.make(digits, kind, target)


def test_masks_and_fractions_are_no_positions(digits):
    with pytest.raises(ValueError, match=r"a mask becomes one with mask.nonzero"):
        scenarios.from_index(digits, torch.ones(1397, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"must be a list of positions, got torch.float64"):
        scenarios.from_index(digits, [0.5])
    with pytest.raises(ValueError, match="test_forget is not inside the test set: positions 400 to 400"):
        scenarios.from_index(digits, [0], [400])


def takes_both() -> list:
    """All public functions of the package that take data and a scenario."""
    found = []
    for wing in ("audit", "baselines", "data", "explorer", "lab", "networks", "sweeps"):
        package = getattr(__import__(f"lfssd_nb.{wing}"), wing)
        for module in [package, *vars(package).values()]:
            if not inspect.ismodule(module) or not module.__name__.startswith("lfssd_nb."):
                continue
            for name, function in vars(module).items():
                if name.startswith("_") or not inspect.isfunction(function) or name == "check":
                    continue
                names = list(inspect.signature(function).parameters)
                if "scenario" in names and {"data", "d"} & set(names):
                    found.append(function)
    return sorted({f.__qualname__ + f.__module__: f for f in found}.values(), key=lambda f: f.__name__)


@pytest.mark.parametrize("function", takes_both(), ids=lambda f: f.__name__)
@pytest.mark.parametrize("kind", ["sizes", "labels"])
def test_data_and_scenario_must_belong_together(function, kind, few, digits, tiny):
    """Of other sizes, and of the same sizes but other labels: nothing is computed."""
    other = replace(few, train_y=few.train_y.flip(0)) if kind == "labels" else digits
    scenario = scenarios.forget_class(other, 3)
    values = dict(
        model=tiny, data=few, d=few, scenario=scenario, architecture=lambda d: tiny, golds=[], untrained=tiny,
        yardstick=None, importances={}, gold=tiny, method="lfssd", y=few.test_y, alpha=1.0, case=None,
        original=None, seed=0,
    )  # fmt: skip
    parameters = inspect.signature(function).parameters.values()
    needed = {p.name: values[p.name] for p in parameters if p.default is p.empty and p.kind <= 1}
    with pytest.raises(ValueError, match="belongs to other data"):
        function(**needed)


def test_functions_that_take_both_are_found():
    names = {f.__name__ for f in takes_both()}
    assert {
        "accuracies",
        "battery",
        "compare",
        "exam",
        "explore",
        "make",
        "retrained",
        "class_order",
    } <= names


def test_positions_of_the_same_samples_but_targets_of_its_own_classes(digits):
    ten = scenarios.forget_random(digits, 10)
    scenarios.check(digits.coarsen(), ten)  # positions of the same images
    assert orders.class_order(digits.coarsen(), ten).shape == (1397,)
    with pytest.raises(ValueError, match="forgets class '3', which 'digits5' does not have"):
        scenarios.check(digits.coarsen(), scenarios.forget_class(digits, 3))
    with pytest.raises(ValueError, match=r"has no super-class labels"):
        scenarios.check(digits, scenarios.forget_subclass(digits.coarsen(), 3))


def test_stratified_positions_are_exact():
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    found = encode.stratified(labels, 10, torch.Generator().manual_seed(0))
    assert torch.bincount(labels[found]).tolist() == [6, 3, 1]


def test_a_case_of_my_own_data_is_named_by_its_tensors(few):
    case = lab.Case(few, lab.cases.Architecture(width=8), "class", "3", 0)
    other = replace(case, data=replace(few, train_x=few.train_x + 1))
    assert lab.Run(case, "lfssd").key != lab.Run(other, "lfssd").key
    assert lab.Run(case, "lfssd").key == lab.Run(replace(case, data=replace(few)), "lfssd").key
    assert lfssd_nb.__version__
