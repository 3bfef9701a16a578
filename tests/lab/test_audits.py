"""Audit records: what a row says, KLOM over training seeds, and what is not computed twice."""

import numpy as np
import pytest
import torch

from lfssd_nb.audit import klom, representation
from lfssd_nb.audit.linear_probe import features
from lfssd_nb.lab import audits, cases
from lfssd_nb.lab.audits import GOLD, Audit
from lfssd_nb.lab.cases import Case
from lfssd_nb.networks.architecture import Architecture
from lfssd_nb.networks.forward import logits
from lfssd_nb.networks.gold import retrained
from lfssd_nb.networks.recipes import Recipe
from lfssd_nb.networks.training import trained

METHODS = {"nothing": {}, "lfssd": {"scale": 0.3}}


def plan(methods=METHODS):
    kind = dict(kind="class", target="3", gold_seeds=(0, 1, 2, 3), images=200, recipe=Recipe(epochs=2))
    both = [Case("digits", Architecture("resnet18", width=8), seed=seed, **kind) for seed in (0, 1)]
    return [Audit(both[0], GOLD), *(Audit(c, name, how) for c in both for name, how in methods.items())]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audits")
    return folder, audits.run(plan(), folder, n_jobs=1)


def test_a_row_a_network(done):
    table = done[1]
    assert table.groupby("method").seed.apply(list).to_dict() == {
        GOLD: [0, 1, 2, 3], "nothing": [0, 1], "lfssd": [0, 1],
    }  # fmt: skip
    assert table[["distance", "residual", "mia_spread", "relearn", "probe"]].notna().all().all()
    assert table[table.method == "nothing"].to_original.max() < 1e-9 and "margins" not in table


def test_klom_is_of_the_originals_seeds_against_golds_of_others(done):
    table, case = done[1].groupby("method").first(), plan()[0].case
    d, scenario = cases.setting(case)
    x, y = d.train_x[scenario.forget], d.train_y[scenario.forget]
    golds = retrained(d, scenario, case.architecture, case.recipe, range(4), show=False)
    originals = [trained(d, case.architecture, case.recipe, seed, show=False) for seed in (0, 1)]
    networks = {"nothing": originals, "gold": golds[:2], "others": golds[2:]}
    m = {name: klom.margins([logits(net, x) for net in nets], y) for name, nets in networks.items()}
    for name in ("nothing", "gold"):
        rounded = (side.mul(1e4).round().div(1e4) for side in (m[name], m["others"]))
        assert table.klom_forget[name] == pytest.approx(float(klom.klom(*rounded).mean()), abs=1e-6)
    assert (table.networks == 2).all()
    floor = table.klom_forget["gold"]
    assert table.klom_forget_excess.to_dict() == pytest.approx((table.klom_forget - floor).to_dict())
    assert table.klom_forget_half["gold"] == 0 < table.klom_forget_half["nothing"]


def test_klom_without_golds_of_its_seeds_has_no_excess(done):
    rows = [each for each in plan() if each.method != GOLD]
    alone = audits.table(rows, done[0])
    assert alone[["klom_forget", "klom_forget_excess", "klom_forget_half"]].isna().all(axis=None)


def test_a_gold_network_is_not_its_own_yardstick(done):
    table, case = done[1], plan()[0].case
    d, scenario = cases.setting(case)
    x = d.train_x[scenario.forget]
    golds = retrained(d, scenario, case.architecture, case.recipe, range(4), show=False)
    given = [features(gold, x) for gold in golds]
    expected = np.mean([representation.distance(given[0], other) for other in given[1:]])
    mine = table[table.method.eq(GOLD) & table.seed.eq(0)]
    assert mine.distance.item() == pytest.approx(expected) == representation.to_golds(golds[0], golds, x)


def test_nothing_is_computed_twice_and_settings_make_another_record(done, monkeypatch):
    folder, table = done
    monkeypatch.setattr(audits, "measured", lambda *_: pytest.fail("computed again"))
    again = audits.run(plan(), folder, n_jobs=1)
    assert again.equals(table)
    other = Audit(plan()[1].case, "lfssd", {"scale": 0.2})
    assert other.key not in {each.key for each in plan()}
    assert Audit(other.case, "lfssd").key != other.key


def test_a_method_that_breaks_is_a_row_and_leaves_klom_to_the_others(done):
    folder = done[0]
    broken = Audit(plan()[1].case, "gradient_ascent", {"lr": 1e9})
    table = audits.run([*plan(), broken], folder, n_jobs=1).set_index("method")
    assert isinstance(table.error["gradient_ascent"], str) and np.isnan(table.klom_forget["gradient_ascent"])
    assert torch.isfinite(torch.tensor(table.klom_forget["lfssd"].to_numpy())).all()


def test_a_setting_that_a_method_does_not_have_is_refused():
    with pytest.raises(ValueError, match="lfssd has no setting beta"):
        Audit(plan()[1].case, "lfssd", {"beta": 1})
