"""What a user may mistype: a line a case, and every one ends in one line with the value and what would do."""

import re
import shlex
import warnings

import numpy as np
import pytest

from lfssd_nb import cli
from lfssd_nb.networks import training

QUICK = "--subset 100 --width 8 --epochs 1 --device cpu --no-gold "
FORGET = [  # after QUICK; a later option overrides an earlier one
    # numbers
    ("--width 0", "--width must be at least 1, got 0"),
    ("--width -3", "--width must be at least 1, got -3"),
    (
        "--width 100000",
        r"--width 100000: .* takes at least [\d,]+ GB, and cpu has [\d,]+ GB: choose a smaller",
    ),
    ("--width 99999999999", "--width must be at most 2147483647, got 99999999999"),
    ("--width 2147483647", "--width 2147483647: .* takes at least inf GB"),
    ("--width 1.5", "--width must be a whole number, at least 1, got '1.5'"),
    ("--width wide", "--width must be a whole number, at least 1, got 'wide'"),
    ("--arch gru --data names --subset 200 --width 100000", "--width 100000: training gru"),
    ("--epochs 0", "--epochs must be at least 1, got 0"),
    ("--epochs -1", "--epochs must be at least 1, got -1"),
    ("--epochs many", "--epochs must be a whole number, at least 1, got 'many'"),
    ("--seed -1", "--seed must be at least 0, got -1"),
    ("--seed 1e3", "--seed must be a whole number, at least 0, got '1e3'"),
    ("--seed 99999999999999999999", "--seed must be at most 2147483647"),
    ("--subset 0", "--subset must be at least 1, got 0"),
    ("--subset -5", "--subset must be at least 1, got -5"),
    ("--subset 1000000000", "subset of 1000000000 images is not possible: 'digits' has 1397"),
    ("--subset 9", "a subset of 9 images cannot hold all 10 classes; take more"),
    ("--batch-size 0", "--batch-size must be at least 1, got 0"),
    ("--batch-size -3", "--batch-size must be at least 1, got -3"),
    ("--alpha 0", "alpha must be positive and finite, got 0.0; try"),
    ("--alpha -1", "alpha must be positive and finite, got -1.0; try"),
    ("--alpha nan", "alpha must be positive and finite, got nan; try"),
    ("--alpha inf", "alpha must be positive and finite, got inf; try"),
    ("--alpha big", "--alpha must be a number or 'agreement', got 'big'"),
    ("--lam -1", "lam .*must be non-negative and finite, got -1.0"),
    ("--lam nan", "lam .*must be non-negative and finite, got nan"),
    ("--lam inf", "lam .*must be non-negative and finite, got inf"),
    ("--lam 0,5", "--lam must be a number, got '0,5'"),
    # names
    ("--data mnist", "unknown data set 'mnist'; choose one of digits, "),
    ("--data digit", r"unknown data set 'digit'; choose one of .*\(did you mean 'digits'\?\)"),
    ("--data ''", "unknown data set ''; choose one of digits, "),
    ("--data pins", "pins does not exist"),
    ("--scenario klass", r"unknown scenario 'klass'; choose one of class, .*\(did you mean 'class'\?\)"),
    ("--arch resnet", r"unknown architecture 'resnet'; choose one of .*\(did you mean 'resnet18'\?\)"),
    ("--arch vit --vit-size huge", "unknown ViT size 'huge'; choose one of micro, tiny, small, vit_b_16"),
    ("--arch gru", "gru takes tokens .*choose"),
    ("--method sdd", r"unknown method 'sdd'; choose one of .*\(did you mean 'ssd'\?\)"),
    ("--reduction mean", "unknown reduction 'mean'; choose 'sample' or 'batch'"),
    ("--reduction batch", "give alpha"),
    ("--method scrub --reduction mean", "--reduction belongs to lfssd and ssd; scrub takes --option"),
    ("--device abacus", "device 'abacus' cannot be used here .*try 'cpu'"),
    ("--device meta", "device 'meta' cannot be used here .*try 'cpu'"),
    ("--device cuda:99", "device 'cuda:99' cannot be used here .*try 'cpu'"),
    ("--device ''", "device '' cannot be used here .*try 'cpu'"),
    # options
    ("--wide 3", "unrecognized arguments: --wide 3 .*--help explains"),
    ("--seed", "--seed expected one argument .*--help explains"),
    ("extra", "unrecognized arguments: extra"),
    ("--method scrub --option epochs", "--option 'epochs' must be NAME=VALUE, for instance epochs=3"),
    ("--method scrub --option =3", "--option '=3' must be NAME=VALUE"),
    ("--method scrub --option epoch=1", "scrub has no setting epoch; its settings: epochs"),
    ("--method scrub --option epochs=1 --option epochs=2", "--option 'epochs=2': epochs is given twice"),
    ("--method scrub --option epochs=three", "--option epochs=three: must be a number, like its default"),
    ("--method scrub --option lr=NaN", "--option lr=nan: must be a number, like its default"),
    ("--method scrub --alpha 3", "--alpha belongs to lfssd and ssd; scrub takes --option NAME=VALUE"),
    ("--option alpha=3", "--option alpha=3: give it as --alpha 3"),
    ("--option batch_size=3", "--option batch_size=3: give it as --batch-size 3"),
    ("--option alfa=3", "lfssd has no setting alfa; its settings: alpha, lam"),
    ("--option squared=5", "--option squared=5: must be true or false"),
    ("--option offload=gpu", "device 'gpu' cannot be used here .*try 'cpu'"),
    (
        "--method class_mask --scenario random",
        "class_mask is for --scenario class, not random: choose another method",
    ),
    (
        "--method jit --data names --subset 200 --arch gru",
        "jit is for inputs that bear noise, not tokens: choose",
    ),
    ("--option scale=big", "--option scale=big: must be a number, like its default 0.4"),
    # forget sets
    ("--target 77", "unknown class 77: 'digits' has 0 to 9"),
    ("--target ''", "unknown class '': 'digits' has 0 to 9"),
    ("--target 'my cat'", "unknown class 'my cat': 'digits' has 0 to 9"),
    ("--target -1", "unknown class '-1': 'digits' has 0 to 9"),
    ("--scenario subclass --target 77", "unknown subclass 77: 'digits5' has 0 to 9"),
    ("--scenario classes", "--scenario classes needs a --target"),
    ("--scenario classes --target 3+", "unknown class '': 'digits' has 0 to 9"),
    ("--scenario classes --target 3+3", "each once"),
    ("--scenario random --target 0", "cannot forget 0 random samples of 100; choose 1 to 99"),
    ("--scenario random --target 100", "cannot forget 100 random samples of 100; choose 1 to 99"),
    ("--scenario random --target cat", "needs a number of samples, got 'cat'"),
    ("--scenario random --target 2.5", "needs a number of samples, got '2.5'"),
    ("--scenario index --target 0+x", "needs positions in D, like '0.7.12?', got '0.x'"),
    ("--scenario index --target 99999999999999999999", "needs positions in D, .*got '99999999999999999999'"),
    ("--scenario index --target 100", "not inside D: positions 100 to 100, but D has 100 samples"),
    ("--scenario index --target 4+4", "names a sample twice"),
    ("--scenario group --target 1", "'digits' has no groups"),
    # functions and files of one's own
    ("--model mine:net", "--width belongs to the built-in networks; --model decides all"),
    ("--data mine:raises", "--data 'mine:raises': KeyError: 'oops'; --debug shows where"),
    ("--data mine:ends", "--data 'mine:ends': SystemExit: 3; --debug shows where"),
    ("--data mine:NUMBER", "--data 'mine:NUMBER' must be a function, got int"),
    ("--data mine:nothing_at_all", "module 'mine' has no 'nothing_at_all'"),
    ("--data mine:words", "--data 'mine:words' must return a Dataset, got str"),
    ("--data mine:net", "--data 'mine:net' is called with 0 arguments"),
    ("--data broken:f", "--data 'broken:f': SyntaxError"),
    ("--data quits:f", "--data 'quits:f': SystemExit"),
    ("--data folder:nowhere", "nowhere does not exist: give a folder"),
    ("--data folder:", "holds no images by class .*make one folder a class"),
    ("--data folder:garbage.bin", "garbage.bin .*folder"),
    ("--data folder:empty", "empty holds no images by class"),
    ("--data-root garbage.bin", "--data-root 'garbage.bin' is a file: name the folder that it is in"),
    ("--data cifar10 --data-root root", "cifar10.npz is damaged or incomplete .*delete it"),
    ("--method mine:net", "--method 'mine:net' is not registered: decorate it"),
    # places for what comes out
    ("--json ''", "--json '' cannot be written .it is a folder.: give a file in a folder of yours"),
    ("--json empty", "--json 'empty' cannot be written .it is a folder.: give a file in a folder of yours"),
    ("--json garbage.bin/out.json", "--json 'garbage.bin/out.json' cannot be written .*give a file in"),
    ("--json /proc/out.json", "--json '/proc/out.json' cannot be written .*give a file in a folder of yours"),
    ("--json new/{long}/out.json", "--json 'new/x+/out.json' cannot be written"),
    ("--json new/{long}", "--json 'new/x+' cannot be written .*give a file in a folder of yours"),
]
OWN_MODEL = [  # which takes none of the options of QUICK
    ("nowhere:net", "--model 'nowhere:net': ModuleNotFoundError: .*nowhere.py is looked for in"),
    ("mine:nothing", "--model 'mine:nothing': module 'mine' has no 'nothing'"),
    ("mine", "--model 'mine' must be module:function"),
    ("mine:raises_net", "--model 'mine:raises_net': RuntimeError: no network today; --debug shows where"),
    ("mine:words_net", "--model 'mine:words_net': .*must return an nn.Module, got str"),
    ("mine:ends_net", "--model 'mine:ends_net': SystemExit: 4"),
    ("mine:NUMBER", "--model 'mine:NUMBER': .*a function that builds a network"),
    ("mine:small_net", r"--model 'mine:small_net': .*logits \[2, 10\], one for each class, are needed"),
]
COMPARE = [
    ("--methods sdd", r"unknown method 'sdd'; choose one of .*\(did you mean 'ssd'\?\)"),
    ("--methods lfssd lfssd", "--methods names lfssd twice: give each once"),
    ("--methods", "--methods expected at least one argument"),
    ("--seeds 0 0", "--seeds names 0 twice: give each once"),
    ("--methods unsir --scenario random", "unsir is for --scenario class, not random: choose another method"),
    ("--seeds -1 0", "--seeds must be at least 0, got -1"),
    ("--seeds a", "--seeds must be a whole number, at least 0, got 'a'"),
    ("--csv empty", "--csv 'empty' cannot be written .it is a folder."),
    ("--csv garbage.bin/t.csv", "--csv 'garbage.bin/t.csv' cannot be written"),
    ("--json out.json", "unrecognized arguments: --json out.json"),
    ("--device meta", "device 'meta' cannot be used here"),
    ("--target 77", "unknown class 77"),
]
REPRODUCE = [
    ("--profile huge", "unknown profile 'huge'; choose one of paper, small, night"),
    ("--stages cifar10", "unknown stage 'cifar10'; choose one of cifar100-class-resnet18"),
    ("--stages cifar10-class-resnet", r"\(did you mean 'cifar10-class-resnet18'\?\)"),
    ("--methods lfsd", r"unknown method 'lfsd'; choose one of .*\(did you mean 'lfssd'\?\)"),
    ("--seeds 0 0", "--seeds names 0 twice"),
    ("--seeds 0", "leave no gold model"),
    ("--seeds -1 0", "--seeds must be at least 0, got -1"),
    ("--targets 0", "--targets must be at least 1, got 0"),
    ("--images 0", "--images must be at least 1, got 0"),
    ("--images -1", "--images must be at least 1, got -1"),
    ("--images 101", "subset of 101 images is not possible"),
    ("--epochs 0", "--epochs must be at least 1, got 0"),
    ("--jobs 0", "--jobs must be at least 1, got 0"),
    ("--jobs -5", "--jobs must be at least 1, got -5"),
    ("--vit huge", "unknown ViT size 'huge'; choose one of micro"),
    ("--device nonsense", "device 'nonsense' cannot be used here"),
    ("--out garbage.bin", "--out 'garbage.bin' cannot be written"),
    ("--out garbage.bin/below", "--out 'garbage.bin/below' cannot be written"),
    ("--out ''", "--out '' cannot be written .it is empty."),
    ("--share /proc/here", "--share '/proc/here' cannot be written .*give a folder in"),
    ("--share ''", "--share '' cannot be written .it is empty."),
]
NOTHING = [
    ("", "the following arguments are required: COMMAND"),
    ("forgt", "COMMAND invalid choice: 'forgt'"),
]
SMALL = "reproduce --profile small --stages cifar10-random-resnet18 --images 100 --epochs 1 --device cpu "
LINES = [
    *((f"forget {QUICK}{line}", said) for line, said in FORGET),
    *((f"forget --subset 100 --device cpu --model {name}", said) for name, said in OWN_MODEL),
    *((f"compare {QUICK.replace('--no-gold', '')}{line}", said) for line, said in COMPARE),
    *((f"{SMALL}--out new {line}", said) for line, said in REPRODUCE),
    *NOTHING,
]
MINE = """
import sys
from torch import nn
NUMBER = 3
def net(data): return nn.Sequential(nn.Flatten(), nn.Linear(64, len(data.classes)))
def small_net(data): return nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
def raises_net(data): raise RuntimeError("no network today")
def words_net(data): return "words"
def ends_net(data): sys.exit(4)
def raises(): return {}["oops"]
def ends(): sys.exit(3)
def words(): return "words"
"""


def everything(folder) -> dict:
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def place(small, tmp_path_factory):
    """A folder to type in: modules of a user's, a file of garbage, an empty folder, a data root."""
    place = tmp_path_factory.mktemp("place")
    (place / "mine.py").write_text(MINE)
    (place / "broken.py").write_text("def f(:")
    (place / "quits.py").write_text("raise SystemExit('not today')")
    for folder in ("empty", "root"):
        (place / folder).mkdir()
    for name in ("garbage.bin", "root/cifar10.npz"):
        (place / name).write_bytes(np.random.default_rng(0).bytes(1000))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(place))
        patch.setattr("sys.dont_write_bytecode", True)
        patch.setenv("LFSSD_DATA", str(small))
        patch.setenv("LFSSD_CACHE", str(place / "cache"))
        patch.chdir(place)
        yield place


@pytest.mark.parametrize(("line", "said"), LINES, ids=[line or "nothing" for line, _ in LINES])
def test_one_line_with_the_value_and_the_remedy(place, monkeypatch, capsys, line, said):
    monkeypatch.setattr(training, "fit", lambda *_, **__: pytest.fail("trained for it"))
    before = everything(place)
    assert cli.main(shlex.split(line.format(long="x" * 300))) == 2
    out, err = capsys.readouterr()
    assert re.fullmatch(f"lfssd-nb: error: .*(?:{said}).*\n", err), err
    assert "Traceback" not in err and not out
    assert everything(place) == before


@pytest.mark.parametrize(
    "line",
    [
        f"forget {QUICK}--data mine:raises --debug",
        "compare --debug --data mine:raises --device cpu",
        f"{SMALL}--out garbage.bin --debug",
    ],
)
def test_debug_shows_where_it_arose(place, capsys, line):
    assert cli.main(shlex.split(line)) == 2
    err = capsys.readouterr().err
    assert err.startswith("Traceback") and err.splitlines()[-1].startswith("lfssd-nb: error: ")


@pytest.mark.parametrize("line", [f"forget {QUICK}", f"{SMALL}--out new"])
@pytest.mark.parametrize("where", ["garbage.bin", "garbage.bin/below"])
def test_a_cache_that_cannot_be_written(place, monkeypatch, capsys, line, where):
    """A reproduction needs it and says so before any work; a single network is trained without."""
    monkeypatch.setenv("LFSSD_CACHE", where)
    trained = []
    monkeypatch.setattr(training, "fit", lambda model, *_, **__: trained.append(1) or model.eval())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        code = cli.main(shlex.split(line))
    err, before = capsys.readouterr().err, "LFSSD_CACHE 'garbage.bin.*' cannot be written .*give a folder in"
    if line.startswith("forget"):
        assert code == 0 and trained
        assert any(re.search("not cached: .*could not write .*another place", str(w.message)) for w in said)
    else:
        assert code == 2 and not trained and re.fullmatch(f"lfssd-nb: error: {before}.*\n", err)
