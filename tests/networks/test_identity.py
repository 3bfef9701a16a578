# ruff: noqa: E501  variants of programs, side by side
"""What decides a trained network: your code and all of yours that it calls, not names, comments or places."""

import functools
import importlib
import sys

import pytest
import torch
from torch import nn

from lfssd_nb.data import Dataset
from lfssd_nb.networks import Architecture, Recipe, resume, training
from lfssd_nb.system import code, instructions
from lfssd_nb.system.code import code_of

SOURCE = '''
import torch
from torch import nn
import helpers_{n}
WIDTH = 4
TABLE = {{"a": [1, 2], "b": {{3}}}}

class Net(nn.Module):
    slope = 0.1
    def __init__(self, width, classes):
        super().__init__()
        self.body, self.head = nn.Linear(13, width), nn.Linear(width, classes)
    def forward(self, x):
        return self.head(act(self.body(x)))

def act(x):
    return helpers_{n}.twice(torch.relu(x))

def unused(x):
    return x + 1

def build(data):
    """Builds."""
    assert TABLE
    return Net(WIDTH, 3)
'''
HELPERS = "def twice(x):\n    return 2 * x\n\ndef other(x):\n    return x\n"
count = iter(range(1000))


@pytest.fixture
def hashed(tmp_path, monkeypatch):
    """``hashed(change)``: the hash of `build` in a module of its own, with texts replaced."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def made(*changes: tuple[str, str]) -> str:
        n = next(count)
        source, helpers = SOURCE.format(n=0), HELPERS
        for old, new in changes:
            assert old in source + helpers
            source, helpers = source.replace(old, new), helpers.replace(old, new)
        (tmp_path / f"mine_{n}.py").write_text(source)
        (tmp_path / "helpers_0.py").write_text(helpers)
        for name in ("helpers_0", f"mine_{n}"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        module = importlib.import_module(f"mine_{n}")
        return code_of(module.build, module.Net)

    return made


@pytest.mark.parametrize(
    "change",
    [
        ("WIDTH = 4", "WIDTH = 5"),
        ('"b": {3}', '"b": {4}'),
        ("slope = 0.1", "slope = 0.2"),
        ("torch.relu(x)", "torch.tanh(x)"),
        ("return 2 * x", "return 3 * x"),
        ("self.head(act(self.body(x)))", "self.head(self.body(x))"),
        ("nn.Linear(13, width)", "nn.Linear(13, width, bias=False)"),
    ],
)
def test_what_changes_the_network_changes_the_hash(hashed, change):
    assert hashed(change) != hashed()


@pytest.mark.parametrize(
    "change",
    [
        ("return x + 1", "return x + 2"),  # called by nobody
        ("return 2 * x", "return 2 * x  # doubled"),
        ("WIDTH = 4\n", "\n\nWIDTH = 4\nUNUSED = 7\n"),
        ("def other(x):\n    return x\n", ""),
        ('"""Builds."""', '"""Builds the network."""'),
    ],
)
def test_what_does_not_change_it_does_not(hashed, change):
    """The module's name differs, too: names of files count for nothing."""
    assert hashed(change) == hashed()


def test_closures_partials_and_objects_are_followed():
    def of(width):
        return lambda data: nn.Linear(width, 3)

    assert code_of(of(4)) == code_of(of(4)) != code_of(of(5))
    assert code_of(functools.partial(of, 4)) != code_of(functools.partial(of, 5))

    class Builder:
        def __init__(self, width):
            self.width = width

        def __call__(self, data):
            return nn.Linear(self.width, 3)

    assert code_of(Builder(4)) == code_of(Builder(4)) != code_of(Builder(5))
    tensor = torch.ones(2)
    assert code_of(lambda data: tensor) == code_of(lambda data: tensor)
    before = code_of(lambda data: tensor)
    tensor[0] = 2
    assert code_of(lambda data: tensor) != before


@pytest.fixture(scope="module")
def few():
    x, y = torch.randn(30, 13, generator=torch.Generator().manual_seed(0)), torch.arange(30) % 3
    return Dataset.from_tensors(x[:24], y[:24], x[24:], y[24:])


def test_what_cannot_be_hashed_is_trained_without_a_cache_and_said(few, own_cache, tmp_path):
    file = (tmp_path / "open").open("w")

    def build(data):
        file.write("built")
        return nn.Linear(13, 3)

    for _ in range(2):
        with pytest.warns(
            UserWarning, match="trained without the cache: TextIOWrapper, which it uses, cannot"
        ):
            training.trained(few, build=build, recipe=Recipe(1, 1e-3, 8), show=False)
    assert not (own_cache / "models").exists()


def test_a_network_of_mine_comes_from_the_cache_and_another_does_not(few, own_cache, monkeypatch):
    recipe, width = Recipe(1, 1e-3, 8), 5

    def build(data):
        return nn.Sequential(nn.Linear(13, width), nn.ReLU(), nn.Linear(width, 3))

    first = training.trained(few, build=build, recipe=recipe, show=False)
    monkeypatch.setattr(training, "fit", None)
    again = training.trained(few, build, recipe, show=False)
    assert all(torch.equal(p, q) for p, q in zip(first.parameters(), again.parameters(), strict=True))
    width = 6
    with pytest.raises(TypeError):  # another network, which would have to be trained
        training.trained(few, build, recipe, show=False)


def test_the_hash_of_the_package_knows_no_file_names_and_what_training_calls():
    assert code_of(training.fit) == training.CODE
    text = code._text(training.fit, {})
    assert ".py" not in text and "grid_sample" in text and "AdamW" in text and "tqdm" not in text


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda data: 3, "must return an nn.Module, got int"),
        (
            lambda data: nn.Linear(13, 2),
            r"gives outputs \[2, 2\] for 2 samples of 'my data': logits \[2, 3\]",
        ),
        (nn.Linear(13, 3), "gold models need fresh ones"),
        ("resnet", "gold models need fresh ones"),
    ],
)
def test_what_is_no_network_for_the_data_is_refused(few, build, said, own_cache):
    with pytest.raises(ValueError, match=said):
        training.trained(few, build, Recipe(1, 1e-3, 8), show=False)


def test_more_than_logits_in_training_is_refused(few):
    class Two(nn.Linear):
        def forward(self, x):
            z = super().forward(x)
            return (z, z) if self.training else z

    with pytest.raises(ValueError, match=r"in training the network returns a tuple: logits alone are needed"):
        training.trained(few, lambda d: Two(13, 3), Recipe(1, 1e-3, 8), show=False)


def test_two_architectures_are_one_too_many(few):
    with pytest.raises(ValueError, match="give an architecture or build=, not both"):
        training.trained(few, Architecture("mlp"), build=lambda d: nn.Linear(13, 3))


def test_the_callback_hears_of_every_epoch_and_changes_nothing(few):
    heard = []

    def loud(epoch, loss, model):
        heard.append((epoch, loss))
        torch.rand(3), model.eval()  # neither may matter

    nets = []
    for callback in (None, loud):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(13, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
        nets.append(training.fit(net, few.train_x, few.train_y, Recipe(3, 1e-2, 8), 0, False, None, callback))
    assert [epoch for epoch, _ in heard] == [1, 2, 3] and all(loss > 0 for _, loss in heard)
    a, b = (net.state_dict() for net in nets)
    assert all(torch.equal(a[k], b[k]) for k in a)


# ---- what a stranger's review found: two networks each, which must not be one


def pair(a: str, b: str, tmp_path, monkeypatch, **files) -> tuple[str, str]:
    """The hashes of two modules' ``build``, in one folder with further files."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    found = []
    for text in (a, b):
        name = f"variant_{next(count)}"
        (tmp_path / f"{name}.py").write_text(
            "import functools, torch\nfrom torch import nn\nimport torch.nn.functional as F\n" + text
        )
        importlib.invalidate_caches()
        found.append(code_of(importlib.import_module(name).build))
    return tuple(found)


VARIANTS = {
    "places": ("A, B = 0.1, 0.5\ndef build(x): return F.leaky_relu(x, A) * B",
               "A, B = 0.5, 0.1\ndef build(x): return F.leaky_relu(x, A) * B"),
    "defaults": ("def build(x, lo=0., hi=1.): return x.clamp(lo, hi)", "def build(x, lo=1., hi=0.): return x.clamp(lo, hi)"),
    "bodies": ("def f(x): return x + 1\ndef g(x): return x * 2\ndef build(x): return f(g(x))",
               "def f(x): return x * 2\ndef g(x): return x + 1\ndef build(x): return f(g(x))"),
    "decorated": ("@torch.no_grad()\ndef build(x): return x + 1", "@torch.no_grad()\ndef build(x): return x + 2"),
    "undecorated": ("@torch.no_grad()\ndef build(x): return x + 1", "def build(x): return x + 1"),
    "wrapped": ("def d(n):\n  def w(f):\n    @functools.wraps(f)\n    def g(*a): return f(*a) * n\n    return g\n  return w\n@d(2)\ndef build(x): return x",
                "def d(n):\n  def w(f):\n    @functools.wraps(f)\n    def g(*a): return f(*a) * n\n    return g\n  return w\n@d(3)\ndef build(x): return x"),
    "cached": ("@functools.lru_cache\ndef build(x): return x + 1", "@functools.lru_cache\ndef build(x): return x + 2"),
    "alias": ("act = F.relu\ndef build(x): return act(x)", "act = F.silu\ndef build(x): return act(x)"),
    "from": ("from torch.nn.functional import relu as act\ndef build(x): return act(x)",
             "from torch.nn.functional import silu as act\ndef build(x): return act(x)"),
    "partial": ("act = functools.partial(F.relu)\ndef build(x): return act(x)", "act = functools.partial(F.silu)\ndef build(x): return act(x)"),
    "attribute": ("class N:\n  sizes = [1, 2]\ndef build(x): return N.sizes", "class N:\n  sizes = [1, 3]\ndef build(x): return N.sizes"),
    "activation": ("class N:\n  act = torch.relu\ndef build(x): return N.act(x)", "class N:\n  act = torch.tanh\ndef build(x): return N.act(x)"),
    "parameters": ("def f(a, b): return a - b\ndef build(x): return f(x, b=5)", "def f(b, a): return b - a\ndef build(x): return f(x, a=5)"),
    "keyword": ("def f(x, a=1, b=2): return x * a + b\ndef build(x): return f(x, a=5)",
                "def f(x, b=1, a=2): return x * b + a\ndef build(x): return f(x, a=5)"),
    "inside": ("def build(x):\n  from here import f\n  return f(x)", "def build(x):\n  from there import f\n  return f(x)"),
    "module": ("import cfg_a as cfg\ndef build(x): return cfg.SLOPE * x", "import cfg_b as cfg\ndef build(x): return cfg.SLOPE * x"),
    "holder": ("from types import SimpleNamespace as S\ndef act(x): return x\nh = S(act=act)\ndef build(x): return h.act(x)",
               "from types import SimpleNamespace as S\ndef act(x): return -x\nh = S(act=act)\ndef build(x): return h.act(x)"),
    "setter": ("class N:\n  @property\n  def p(self): return 1\n  @p.setter\n  def p(self, v): self.q = v\ndef build(x): return N()",
               "class N:\n  @property\n  def p(self): return 1\n  @p.setter\n  def p(self, v): self.q = -v\ndef build(x): return N()"),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_two_different_networks_have_two_hashes(name, tmp_path, monkeypatch):
    files = dict(
        here="def f(x):\n    return x\n",
        there="def f(x):\n    return -x\n",
        cfg_a="SLOPE = 1\n",
        cfg_b="SLOPE = 2\n",
    )
    a, b = pair(*VARIANTS[name], tmp_path, monkeypatch, **files)
    assert a != b
    again, _ = pair(VARIANTS[name][0], VARIANTS[name][0], tmp_path, monkeypatch, **files)
    assert again == a


def test_a_function_that_hands_out_one_network_is_refused(few):
    net = nn.Linear(13, 3)
    with pytest.raises(ValueError, match="returns the same network each time: gold models need fresh ones"):
        training.trained(few, lambda d: net, Recipe(1, 1e-3, 8), show=False)


def test_weights_that_torch_does_not_draw_are_trained_without_a_cache(few, own_cache):
    import numpy as np

    def build(data):
        net = nn.Linear(13, 3)
        net.weight.data = torch.from_numpy(np.random.default_rng().normal(size=(3, 13))).float()
        return net

    with pytest.warns(UserWarning, match="builds another network each time"):
        training.trained(few, build, Recipe(1, 1e-3, 8), show=False)


def test_lazy_layers_are_drawn_from_the_seed(few):
    def build(data):
        return nn.Sequential(nn.LazyLinear(5), nn.Linear(5, 3))

    nets = []
    for seed, noise in ((0, 1), (0, 2), (7, 1)):
        torch.manual_seed(noise)
        nets.append(training.networks.build(build, few, seed)[0].weight.detach().clone())
    assert torch.equal(nets[0], nets[1]) and not torch.equal(nets[0], nets[2])


def test_dropout_depends_on_the_seed_alone_and_survives_an_interruption(few, own_cache, monkeypatch):
    def build(data):
        return nn.Sequential(nn.Linear(13, 8), nn.Dropout(0.5), nn.Linear(8, 3))

    recipe, found = Recipe(6, 1e-2, 8), []
    for noise in (1, 2):
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        net = training.networks.build(build, few)
        found.append(training.fit(net, few.train_x, few.train_y, recipe, 0, show=False).state_dict())
        assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(v, found[1][k]) for k, v in found[0].items())
    monkeypatch.setattr(resume, "EVERY", 0.0)

    def stop(epoch, loss, model):
        if epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.trained(few, build, recipe, show=False, callback=stop)
    torch.manual_seed(99)
    again = training.trained(few, build, recipe, show=False).state_dict()
    assert all(torch.equal(v, again[k]) for k, v in found[0].items())


@pytest.mark.parametrize(
    ("name", "x", "said"),
    [
        ("resnet18", torch.zeros(6, 4), "resnet18 takes images float .* choose mlp"),
        ("vit", torch.zeros(6, 4).long(), "vit takes images float .* choose gru"),
        ("gru", torch.zeros(6, 4), "gru takes tokens int64"),
        ("gru", torch.zeros(6, 4).long() - 1, "tokens are 0 .* and above; 'my data' has -1"),
        ("transformer", torch.zeros(6, 4).long(), "9 samples of 'my data' hold no token but 0"),
        ("conv1d", torch.zeros(6, 2, 4), "series .* of 8 steps or more"),
    ],
)
def test_a_network_that_does_not_fit_the_samples_says_which_does(name, x, said):
    y = torch.arange(6) % 3
    d = Dataset.from_tensors(x, y, x[:3], y[:3])
    with pytest.raises(ValueError, match=said):
        training.networks.build(Architecture(name), d)


def test_without_an_architecture_the_data_choose(few):
    net = training.trained(few, recipe=Recipe(1, 1e-3, 8), show=False)
    assert type(net).__name__ == "MLP"
    images = torch.zeros(6, 1, 8, 8)
    d = Dataset.from_tensors(images, torch.arange(6) % 3, images[:3], torch.arange(3))
    assert training.suggested(d) == Architecture("resnet18")


def test_equal_values_hash_alike_be_they_one_object_or_two_and_circles_end():
    one = [1, 2]

    def shared(data):
        return one, one

    def split(of=(one, list(one))):
        return lambda data: of

    assert code_of(split((one, one))) == code_of(split((one, [1, 2])))
    circle: list = [1]
    circle.append(circle)

    class Round:
        def __init__(self):
            self.me = self

    assert code_of(lambda data: circle) != code_of(lambda data: one)
    assert code_of(Round()) == code_of(Round()) and code_of(shared) == code_of(shared)


def test_a_module_that_names_itself_ends(tmp_path, monkeypatch):
    """As every package does whose __init__ imports its own parts."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "selfish").mkdir()
    (tmp_path / "selfish" / "__init__.py").write_text(
        "import selfish.parts\n\ndef make(data):\n    return selfish.parts.two()\n"
    )
    (tmp_path / "selfish" / "parts.py").write_text("def two():\n    return 2\n")
    first = code_of(importlib.import_module("selfish").make)
    (tmp_path / "selfish" / "parts.py").write_text("def two():\n    return 3 - 0\n")
    for name in ("selfish", "selfish.parts"):
        monkeypatch.delitem(sys.modules, name)
    importlib.invalidate_caches()
    assert code_of(importlib.import_module("selfish").make) != first


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages"])
def test_what_is_installed_is_a_library_whichever_python_it_is_of(folder, tmp_path, monkeypatch):
    place = tmp_path / "lib" / folder
    place.mkdir(parents=True)
    monkeypatch.syspath_prepend(place)
    name = f"installed_{folder[:4]}"
    (place / f"{name}.py").write_text("def f(x):\n    return x\n")
    assert not instructions.own(importlib.import_module(name)) and not instructions.own(
        importlib.import_module(name).f
    )
