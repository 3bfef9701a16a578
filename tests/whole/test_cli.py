"""The command line, from arguments to the JSON that it documents."""

import json

import pytest

from lfssd_nb import __version__, cli

QUICK = "--subset 140 --width 8 --epochs 1 --device cpu "
OPTIONS = """--data --data-root --subset --scenario --target --arch --width --epochs --method --alpha --lam
    --reduction --batch-size --vit-size --seed --no-gold --device --json"""
ACCURACIES = ("retain_train_acc", "forget_train_acc", "retain_test_acc", "forget_test_acc")


def parsed(text: str) -> dict:
    """JSON as the standard has it: no NaN and no Infinity."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.fixture
def forget(tmp_path):
    """``forget("--seed 1")`` runs the command quickly and returns the JSON that it wrote."""

    def run(arguments: str = "") -> dict:
        out = tmp_path / "new folder" / "out.json"
        assert cli.main(["forget", *(QUICK + arguments).split(), "--json", str(out)]) == 0
        return parsed(out.read_text())

    return run


@pytest.mark.parametrize("arguments", [["--help"], ["forget", "--help"]])
def test_help_mentions_every_option(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    words = capsys.readouterr().out.replace("[", " ").replace("]", " ").replace(",", " ").split()
    assert stop.value.code == 0
    assert set(OPTIONS.split()) <= set(words)


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0 and capsys.readouterr().out.strip() == __version__


def test_json_has_the_documented_keys(forget):
    result = forget()
    measured = {"original", "unlearned", "gold"}
    assert set(result) == measured | {"seconds", "selected_share", "largest_ratio", "settings"}
    assert all(set(result[name]) == {*ACCURACIES, "mia"} for name in measured)
    assert set(result["seconds"]) == {"train", "gold", "unlearn", "evaluate"}


def test_json_has_the_documented_units(forget):
    result = forget()
    rows = [result[name] for name in ("original", "unlearned", "gold")]
    assert all(0 <= row[key] <= 100 for row in rows for key in ACCURACIES)
    assert max(row["retain_train_acc"] for row in rows) > 1  # percent, not shares
    assert all(0 <= row["mia"] <= 1 for row in rows)
    assert 0 <= result["selected_share"] <= 1
    assert all(seconds >= 0 for seconds in result["seconds"].values())


def test_gold_has_never_seen_the_class(forget):
    result = forget("--subset 400 --epochs 6")
    assert result["original"]["forget_test_acc"] > 50 and result["gold"]["forget_test_acc"] == 0


def test_without_json_the_result_alone_is_printed(capsys):
    assert cli.main(["forget", *QUICK.split(), "--no-gold"]) == 0
    assert "original" in parsed(capsys.readouterr().out)


def test_the_result_repeats(forget):
    first, again = forget(), forget()
    assert first.pop("seconds") and again.pop("seconds")
    assert first == again


def test_the_seed_matters(forget):
    assert forget("--seed 0 --no-gold")["original"] != forget("--seed 1 --no-gold")["original"]


def test_settings_are_those_asked_for(forget):
    settings = forget("--target 5 --alpha 2.5 --lam 0.5 --method ssd --seed 1 --no-gold")["settings"]
    wanted = dict(target="5", alpha=2.5, lam=0.5, method="ssd", seed=1, scenario="class", n_train=140)
    assert {key: settings[key] for key in wanted} == wanted
    assert settings["recipe"]["epochs"] == 1 and settings["architecture"]["width"] == 8


def test_alpha_by_agreement(forget):
    settings = forget("--target 5 --alpha agreement --no-gold")["settings"]
    assert (
        settings["alpha_by"] == "agreement" and 1 <= settings["alpha"] <= settings["alpha_ceiling"] * 1.0001
    )
    assert 0 <= settings["aim"] <= 1 and 0 < settings["samples_to_choose"] <= 25 * 140


def test_no_alpha_above_the_ceiling_selects_anything(forget):
    ceiling = forget("--no-gold")["settings"]["alpha_ceiling"]
    with pytest.warns(UserWarning, match="lfssd changed nothing.*the largest ratio is"):
        result = forget(f"--no-gold --alpha {ceiling * 1.01}")
    assert 1 < result["largest_ratio"] <= ceiling * 1.0001
    assert result["selected_share"] == 0 and result["unlearned"] == result["original"]


def test_random_forgetting_has_no_test_images_to_forget(forget):
    result = forget("--scenario random --target 20")
    assert result["settings"]["n_forget"] == 20
    for name in ("original", "unlearned", "gold"):
        assert result[name]["forget_test_acc"] is None
        assert all(result[name][key] is not None for key in ACCURACIES[:3])


def test_subclass_on_digits_takes_the_look_alike_pairs(forget, digits):
    settings = forget("--scenario subclass --target 8 --no-gold")["settings"]
    assert settings["data"] == "digits5" and settings["target"] == "8"
    assert settings["n_forget"] == int((digits.coarsen().subset(140).train_sub == 8).sum())


def test_no_gold(forget):
    result = forget("--no-gold")
    assert "gold" not in result and "gold" not in result["seconds"]
    assert {"original", "unlearned"} <= set(result)


def test_batch_means_come_from_batches_of_64_as_published(forget):
    settings = forget("--reduction batch --alpha 5 --no-gold")["settings"]
    assert settings["reduction"] == "batch" and settings["batch_size"] == 64


def test_the_target_is_a_number_or_a_name(forget, prepare, tmp_path):
    prepare("cifar10")
    colour = f"--data cifar10 --data-root {tmp_path} --no-gold "
    assert forget(colour + "--target 7")["settings"]["target"] == "class 7"


def test_colour_images_on_a_cpu_train_briefly_and_say_so(capsys, prepare, tmp_path):
    prepare("cifar10")
    arguments = f"--data cifar10 --data-root {tmp_path} --width 8 --subset 100 --device cpu --no-gold"
    assert cli.main(["forget", *arguments.split()]) == 0
    out, err = capsys.readouterr()
    assert parsed(out)["settings"]["recipe"]["epochs"] == cli.CPU_EPOCHS
    assert f"{cli.CPU_EPOCHS} epochs because this is a CPU; --epochs changes it" in err
