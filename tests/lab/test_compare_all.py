"""The comparison with every method, over seeds, with methods and metrics of one's own; the commands."""

import json
import re
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from lfssd_nb import baselines, cli, dampening, importance, lab, networks
from lfssd_nb.data import scenarios
from lfssd_nb.lab import commands
from lfssd_nb.lab.comparison import fitting, over_seeds
from lfssd_nb.networks import Architecture, Recipe

SMALL, SHORT = Architecture(width=8), Recipe(1)
MINE = """
import torch
from torch import nn
from lfssd_nb import baselines
from lfssd_nb.data import Dataset

def data():
    x = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()
    return Dataset.from_tensors(x[:45], y[:45], x[45:], y[45:], train_group=[k % 3 for k in range(45)],
                                test_group=[k % 3 for k in range(15)], name="mine")

def net(d):
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2))

@baselines.method("halves all")
def halves_all(model, task, *, by: float = 0.5):
    new = __import__("copy").deepcopy(model)
    for p in new.parameters():
        p.data *= by
    return new

def unregistered(model, task):
    return model
"""


@pytest.fixture
def registry():
    """The registries as they were, after the test."""
    before = dict(baselines.METHODS), dict(networks.NETWORKS)
    yield
    for now, then in zip((baselines.METHODS, networks.NETWORKS), before, strict=True):
        for name in now.keys() - then.keys():
            del now[name]


@pytest.fixture
def my_code(tmp_path, monkeypatch, registry):
    """A module ``mine`` in the folder one stands in."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "broken.py").write_text("def f(:")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    sys.modules.pop("mine", None)
    return tmp_path


@pytest.fixture
def registered(registry):
    """A method of one's own for one test."""

    @baselines.method("largest logit", ["full"])
    def largest_logit(model, task, *, alpha: float = 2.0):
        def score(z):
            return z.max(1).values

        i_f, i_d = (importance.estimate(model, x, score=score) for x in (task.forget_x, task.full_x))
        halve = lambda f, d, alpha, lam: torch.where(f > alpha * d, 0.5, 1.0)  # noqa: E731
        return dampening.dampen(model, i_f, i_d, alpha, rule=halve)[0]

    return "largest_logit"


def test_mine_stands_in_the_table_beside_the_others(few, registered):
    three = scenarios.forget_class(few, 3)
    methods = {"lfssd": {}, registered: {"alpha": 1.5}, "finetune": {"epochs": 1}}
    size = lambda model, d, s: sum(p.numel() for p in model.parameters())  # noqa: E731
    done = lab.compare(few, three, SMALL, methods, recipe=SHORT, metrics={"size": size})
    assert list(done.table.index) == ["original", "gold", *methods] and done.table["size"].nunique() == 1
    assert set(done.seconds) == {"train", "gold", *methods, "evaluate"} and set(done.unlearned) == {"lfssd"}
    a, b = (dict(done.models[name].named_parameters()) for name in ("original", registered))
    factors = torch.cat([(b[k] / a[k])[a[k] != 0].flatten() for k in a]).unique()
    assert set(factors.round(decimals=4).tolist()) == {0.5, 1.0}  # the rule, and nothing else


def test_all_are_those_that_fit(few, digits):
    assert fitting(few, scenarios.forget_class(few, 3))[:2] == ["lfssd", "ssd"]
    by_class = set(fitting(few, scenarios.forget_class(few, 3)))
    assert by_class - set(fitting(few, scenarios.forget_random(few, 10))) == {"unsir", "class_mask"}
    assert not by_class & {"nothing", "retrain", "ntk_scrubbing"}
    d = networks.training.Dataset.from_tensors(
        torch.ones(9, 4).long(), torch.arange(9) % 3, torch.ones(3, 4).long(), torch.arange(3)
    )
    noisy = {name for name, m in baselines.METHODS.items() if m.noise}
    assert noisy == {"jit", "jit_code", "unsir"} and not noisy & set(fitting(d, scenarios.forget_class(d, 0)))


def test_noise_on_tokens_is_refused():
    x = torch.ones(4, 3).long()
    with pytest.raises(
        ValueError, match=r"jit adds noise to its inputs, and these are tokens \(torch.int64\)"
    ):
        baselines.get("jit")(torch.nn.Linear(3, 2), baselines.Task(x))


def test_unknown_settings_and_methods_are_refused_before_any_training(few, own_cache):
    three = scenarios.forget_class(few, 3)
    for methods, said in (
        ({"scrub": {"epoch": 1}}, "scrub has no setting epoch"),
        (["sdd"], "unknown method 'sdd'"),
    ):
        with pytest.raises(ValueError, match=said):
            lab.compare(few, three, SMALL, methods, recipe=SHORT)
    assert not own_cache.exists()


def test_names_come_in_any_form_and_scale_is_a_setting(few, registered):
    three = scenarios.forget_class(few, 3)
    for methods in ("lfssd", ["lfssd"], (name for name in ["lfssd"]), {"lfssd": {"scale": 0.4}}):
        done = lab.compare(few, three, SMALL, methods, recipe=SHORT)
        assert list(done.table.index) == ["original", "gold", "lfssd"]
    assert done.unlearned["lfssd"].alpha == pytest.approx(0.4 * three.ceiling)
    done = lab.compare(few, three, SMALL, ["all", registered], recipe=SHORT)
    assert {"scrub", registered} <= set(done.table.index)
    with pytest.raises(ValueError, match="give alpha or scale, not both"):
        lab.compare(few, three, SMALL, {"ssd": {"scale": 0.4, "alpha": 2.0}}, recipe=SHORT)


def test_a_method_that_changes_what_it_is_given_does_not_change_the_original(few, registry):
    @baselines.method("in place")
    def in_place(model, task):
        for p in model.parameters():
            p.data.zero_()
        return model

    @baselines.method("none")
    def forgetful(model, task):
        return None

    three = scenarios.forget_class(few, 3)
    done = lab.compare(few, three, SMALL, ["in_place"], recipe=SHORT)
    assert any(p.any() for p in done.models["original"].parameters())
    with pytest.raises(ValueError, match="forgetful must return the new model, got NoneType"):
        lab.compare(few, three, SMALL, ["forgetful"], recipe=SHORT)
    with pytest.raises(ValueError, match="there is a method 'scrub' already"):
        baselines.method("mine")(type(in_place)(in_place.__code__, {"__name__": "mine"}, "scrub"))


def test_a_method_of_mine_travels_to_workers_and_its_code_is_in_the_key(few, registered, tmp_path):
    case = lab.Case(few, SMALL, "class", "3", 0, (1,), recipe=SHORT)
    runs = [lab.Run(case, registered), lab.Run(replace(case, target="4"), registered)]
    table = lab.run(runs, tmp_path, n_jobs=2)
    assert "error" not in table and list(table.target) == ["3", "4"]
    key = runs[0].key

    @baselines.method("another")
    def largest_logit(model, task, *, alpha: float = 3.0):
        return model

    assert lab.Run(case, registered).key != key


def test_a_network_of_mine_travels_to_workers_that_train_it(few, registry, own_cache, tmp_path):
    @networks.network("flat", width=3)
    def flat(data, width, size, pretrained):
        n = data.train_x[0].numel()
        return torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(n, width), torch.nn.Linear(width, len(data.classes))
        )

    case = lab.Case(few, Architecture("flat"), "class", "3", 0, (1,), recipe=SHORT)
    table = lab.run([lab.Run(case, "lfssd"), lab.Run(replace(case, target="4"), "lfssd")], tmp_path, n_jobs=2)
    assert "error" not in table and set(table.architecture) == {"flat"}
    with pytest.raises(ValueError, match="there is a network 'gru' already"):
        networks.network("gru")(flat)


def test_over_seeds_gives_means_and_students_intervals(few):
    three = scenarios.forget_class(few, 3)
    found = over_seeds(few, three, SMALL, ["lfssd"], [0, 1, 2], SHORT)
    each = [lab.compare(few, three, SMALL, ["lfssd"], s, SHORT).table for s in (0, 1, 2)]
    values = np.array([table.loc["lfssd", "retain_test_acc"] for table in each], float)
    row = found[(found.model == "lfssd") & (found.metric == "retain_test_acc")].iloc[0]
    assert row["mean"] == pytest.approx(values.mean()) and row.n == 3
    assert row.half == pytest.approx(4.302653 * values.std(ddof=1) / 3**0.5, rel=1e-5)
    assert list(dict.fromkeys(found.model)) == ["original", "gold", "lfssd"]
    with pytest.raises(ValueError, match="nothing to compare"):
        over_seeds(few, three, SMALL, ["lfssd"], [], SHORT)


# ---- the commands


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = cli.main([*arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_forget_takes_any_method_network_and_data(my_code, own_cache, capsys):
    code, out, _ = run(
        capsys, "forget", "--data", "mine:data", "--model", "mine:net", "--scenario", "group",
        "--target", "1", "--method", "mine:halves_all", "--option", "by=0.25", "--device", "cpu",
        "--epochs", "2",
    )  # fmt: skip
    found = json.loads(out)
    assert code == 0 and set(found) == {"original", "gold", "unlearned", "seconds", "settings"}
    assert found["settings"]["options"] == {"by": 0.25} and found["settings"]["n_forget"] == 15
    assert found["settings"]["architecture"]["name"] == "net" and found["settings"]["method"] == "halves_all"


def test_compare_prints_a_gold_row_and_intervals(my_code, own_cache, capsys):
    code, out, _ = run(
        capsys, "compare", "--data", "mine:data", "--model", "mine:net", "--target", "1", "--device", "cpu",
        "--seeds", "0", "1", "--epochs", "1", "--csv", "table.csv",
    )  # fmt: skip
    assert code == 0 and "over 2 training seed(s)" in out and " ± " in out
    rows = [line.split()[0] for line in out.splitlines()[2:]]
    assert {"original", "gold", "lfssd", "ssd", "scrub"} <= set(rows)
    table = pd.read_csv(my_code / "table.csv")
    assert list(table) == ["model", "metric", "mean", "half", "n"] and set(table.n) == {2}


def test_a_folder_of_images_from_the_command_line(tmp_path, own_cache, capsys):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for k in range(12):
            picture = np.full((8, 8), 40 if name == "a" else 200, np.uint8)
            picture[k % 8] = k
            Image.fromarray(picture).save(tmp_path / name / f"{k}.png")
    code, out, _ = run(
        capsys, "forget", "--data", f"folder:{tmp_path}", "--width", "8", "--target", "a", "--epochs", "1",
        "--device", "cpu", "--method", "neggrad_plus", "--no-gold",
    )  # fmt: skip
    assert code == 0 and json.loads(out)["settings"]["n_train"] == 19


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            "--data nowhere:data",
            "--data 'nowhere:data': ModuleNotFoundError: No module named 'nowhere'; it is module:function",
        ),
        ("--data mine:nothing", "module 'mine' has no 'nothing'"),
        ("--data mine:net", "--data 'mine:net' is called with 0 arguments: missing a required argument"),
        ("--data folder:nowhere", "nowhere does not exist: give a folder"),
        ("--data mine:data --target 1 --model mine:data", "is called with 1 argument: too many positional"),
        ("--data mine:data --model mine:MISSING", "has no 'MISSING'"),
        ("--data mine:data --model mine:net --method mine:unregistered", "is not registered: decorate it"),
        ("--data :f", "--data ':f' must be module:function"),
        ("--data broken:f", "SyntaxError"),
        ("--data mine:data --model mine:net --arch vit", "--arch belongs to the built-in networks"),
        ("--method scrub --lam 0.5", "--lam belongs to lfssd and ssd; scrub takes --option"),
        ("--method lfssd --option epochs=3", "lfssd has no setting epochs; its settings: alpha, lam"),
        ("--method scrub --alpha 3", "--alpha belongs to lfssd and ssd; scrub takes --option"),
        ("--method scrub --option epochs", "--option 'epochs' must be NAME=VALUE"),
        ("--method scrub --option epoch=1", "scrub has no setting epoch; its settings: epochs"),
        ("--scenario group", "--scenario group needs a --target"),
        ("--scenario group --target 1", "'digits' has no groups"),
    ],
)
def test_bad_requests_end_with_their_remedy(my_code, own_cache, capsys, arguments, said):
    code, out, err = run(capsys, "forget", *arguments.split(), "--device", "cpu", "--epochs", "1")
    assert code == 2 and not out and err.startswith("lfssd-nb: error: ") and said in err


def test_values_of_options_are_read_as_json():
    assert commands.options_of(["a=1", "b=0.5", "c=null", "d=text", "e=[1, 2]"]) == {
        "a": 1, "b": 0.5, "c": None, "d": "text", "e": [1, 2],
    }  # fmt: skip


# ---- importance and rule of one's own


def test_an_importance_of_my_own_equals_a_loop(few, tiny):
    def score(z, y):
        return z.gather(1, y[:, None])[:, 0] ** 3

    x, y = few.train_x[:7], few.train_y[:7]
    found = importance.estimate(tiny, x, y, score=score, accumulate="square", batch_size=3)
    exact = {name: torch.zeros_like(p, dtype=torch.float64) for name, p in tiny.named_parameters()}
    double = __import__("copy").deepcopy(tiny).double()
    for k in range(7):
        g = torch.autograd.grad(
            score(double(x[k : k + 1].double()), y[k : k + 1]).sum(), list(double.parameters())
        )
        for total, part in zip(exact.values(), g, strict=True):
            total += part**2 / 7
    for name, value in exact.items():
        assert (found.of(name) - value).abs().max() < 1e-5 * value.max()
    assert found.samples == 7 and re.fullmatch(r"score [0-9a-f]{6} \(square\)", found.estimator)


def test_the_built_in_importances_are_special_cases(few, tiny):
    x, y = few.train_x, few.train_y
    mine = importance.estimate(tiny, x, score=lambda z: z.square().sum(1), name="mine")
    theirs = importance.sensitivity(tiny, x)
    ours = importance.estimate(
        tiny, x, y, score=lambda z, y: torch.nn.functional.cross_entropy(z, y, reduction="none"),
        accumulate="square",
    )  # fmt: skip
    for a, b in ((mine, theirs), (ours, importance.fisher(tiny, x, y))):
        assert all(torch.allclose(a.of(k), b.of(k), rtol=1e-5, atol=1e-12) for k in a.sums)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(score=lambda z: z), r"one number a sample, \[\d+\]; got \[\d+, 10\]: sum over the classes"),
        (dict(score=lambda z: 3.0), "got float"),
        (dict(score=lambda z: z.sum(1), accumulate="max"), "unknown accumulate 'max'"),
        (dict(score=lambda z, y: z.sum(1)), "score takes logits and labels, and labels are not given"),
        (dict(score=lambda z: z.sum(1), labels=torch.zeros(100)), "score takes logits alone, and labels are"),
    ],
)
def test_scores_that_are_none(few, tiny, options, said):
    with pytest.raises(ValueError, match=said):
        importance.estimate(tiny, few.train_x, **options)


@pytest.mark.parametrize("rule", [lambda f, d, a, b: f[..., :1], lambda f, d, a, b: f / 0])
def test_rules_that_are_none(few, tiny, rule):
    i = importance.sensitivity(tiny, few.train_x)
    with pytest.raises(ValueError, match="return one finite number for each weight"):
        dampening.dampen(tiny, i, i, 0.5, rule=rule)
