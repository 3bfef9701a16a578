"""The records of longer text: every case is there; label files are read, and refused in words that help."""

import pytest
import study_questions as study

from lfssd_nb.data import scenarios
from lfssd_nb.lab import RECORDS, read
from lfssd_nb.networks import build

TRAIN = "".join(
    f"{label} {question}\n"
    for label, question in [
        ("ABBR:exp", "What does a made-up caf\xe9 say ?"),
        ("DESC:def", "What is a caf\xe9 ?"),
        ("ENTY:animal", "Which " + "very " * 30 + "odd cat ?"),
        ("HUM:ind", "Who is odd ?"),
        ("LOC:city", "Where is it ?"),
        ("NUM:date", "When is it ?"),
        ("NUM:count", "How odd is it ?"),
    ]
)
TEST = "NUM:date When is a zebra ?\n\nNUM:count How is it ?\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train_5500.label").write_bytes(TRAIN.encode("latin-1"))
    (tmp_path / "TREC_10.label").write_bytes(TEST.encode("latin-1"))
    return tmp_path


def test_the_committed_records_have_every_case():
    found = read(RECORDS / "questions.csv").fillna({"method": ""})
    plan = {(each.net, each.seed, each.kind, each.target) for each in study.planned()}
    rules = {("", "gold"), ("", "nothing")}
    rules |= {(method, rule) for method in ("lfssd", "ssd") for rule in ("agreement", "constant", "best")}
    columns = ["network", "seed", "kind", "target", "method", "rule"]
    cases = [(*case, *rule) for case in plan for rule in rules]
    assert not found.duplicated(columns).any() and {*found[columns].itertuples(index=False)} == {*cases}
    measured = found[["retained", "forgotten", "gap"]]
    assert measured.notna().all(axis=None) and measured.stack().between(0, 100).all()
    judged = found.pivot_table(index=columns[:4], columns=["method", "rule"], values="gap")
    for method in ("lfssd", "ssd"):  # the best threshold is one of agreement's
        assert (judged[method, "best"] <= judged[method, "agreement"] + 1e-9).all()
    assert (found[found.rule == "gold"].gap == 0).all()


def test_questions_become_tokens_with_coarse_and_fine_labels_and_first_words(folder):
    d = study.load(folder)
    assert d.classes == study.COARSE and d.train_x.shape == (7, study.LENGTH) and d.test_x.shape[0] == 2
    vocabulary = ["?", "a", "caf\xe9", "is", "it", "odd", "very", "what"]  # twice or more, in order
    token = {word: k for k, word in enumerate(vocabulary, 2)}
    words = ["what", "is", "a", "caf\xe9", "?"]
    assert d.train_x[1].tolist() == [token[word] for word in words] + [0] * (study.LENGTH - len(words))
    assert d.train_x[2].tolist() == [1] + [token["very"]] * (study.LENGTH - 1)
    assert d.test_x[0, :5].tolist() == [1, token["is"], token["a"], 1, token["?"]]
    found = {kind: scenarios.make(d, kind, target) for kind, target in
             (("class", "NUM"), ("subclass", "NUM:date"), ("group", "how"))}  # fmt: skip
    assert {kind: s.forget.tolist() for kind, s in found.items()} == {
        "class": [5, 6], "subclass": [5], "group": [6],
    }  # fmt: skip
    assert found["group"].test_forget.tolist() == [1]


@pytest.mark.parametrize("line", ["NUM:date", "num:date When ?", "NUM When ?", "When is it ?", "NUM: When ?"])
def test_a_bad_line_is_named_with_its_file_and_a_remedy(folder, line):
    path = folder / "TREC_10.label"
    path.write_text(f"{TEST}{line}\n")
    with pytest.raises(ValueError, match=rf"TREC_10\.label, line 4: '{line[:8]}.*anew from {study.WHERE}"):
        study.load(folder)


@pytest.mark.parametrize("name", study.FILES.values())
def test_a_missing_file_is_named_with_where_to_get_it(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"no {name}: download it from {study.WHERE}"):
        study.load(folder)


def test_both_networks_take_the_questions(folder):
    d = study.load(folder)
    for architecture, _ in study.NETS.values():
        assert build(architecture, d)(d.test_x).shape == (2, len(study.COARSE))
