"""Right or refused: importances of modules, inputs and outputs of many kinds against a slow float64 loop."""

import copy
import warnings
from collections import namedtuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from modules import (
    Cached,
    Experts,
    Frames,
    Function,
    Last,
    P,
    Stubborn,
    Swinging,
    Transposed,
    convolutions,
    generator,
    randn,
    recurrent,
    words,
)  # fmt: skip
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lfssd_nb import unlearn
from lfssd_nb.batches import Batch
from lfssd_nb.importance import estimate, explain, fisher, sensitivity
from lfssd_nb.importance_scores import squared_norm
from lfssd_nb.logits import Logits
from lfssd_nb.parameters import copy_of
from lfssd_nb.per_sample import PerSample, SlowWay

N = 9


def reference(model, data, y=None, forward=None):
    """Means over samples of |d||f||^2| or (d CE)^2 in float64: autograd alone, every sample beside its copy,
    because PyTorch's batch norm is wrong for one row."""
    model = copy_of(model).double().eval()
    logits, batch = Logits(model, forward), Batch(data, () if y is None else (y,))
    names, parameters = zip(*model.named_parameters(), strict=True)
    total = {name: torch.zeros_like(p) for name, p in zip(names, parameters, strict=True)}
    for k in range(len(batch)):
        emptied(model)
        pair = batch.rows([k, k]).map(lambda t: t.double() if t.is_floating_point() else t)
        z = logits(pair.inputs)
        score = z.square().sum() / 2 if y is None else F.cross_entropy(z, pair.targets[0])
        for name, g in zip(names, torch.autograd.grad(score, parameters, allow_unused=True), strict=True):
            if g is not None:
                g = g.to_dense() if g.is_sparse else g
                total[name] += g.abs() if y is None else g.square()
    return {name: value / len(batch) for name, value in total.items()}


def emptied(model):
    for module in model.modules():
        if isinstance(module, Cached):
            module.cache, module.kept = {}, None
        if hasattr(module, "attention_bias_cache"):  # timm's
            module.attention_bias_cache = {}
    return model


def worst(found, expected) -> float:
    """Largest error of a tensor relative to its largest entry; tensors that are rounding alone left out."""
    top = max(float(v.max()) for v in expected.values())
    real = {k: v for k, v in expected.items() if float(v.max()) > 1e-9 * top}
    assert real and found.keys() == expected.keys()
    return max(float((found[k].double() - v).abs().max() / v.max()) for k, v in real.items())


def single(data):
    """In float32."""
    return Batch(data).map(lambda t: t.float() if t.is_floating_point() else t).inputs


def agrees(model, data, slow=(), batch_size=4, fisher_too=True, **options):
    """float32 to 1e-5 of each tensor's maximum, float64 to 1e-9; ``slow``: what no rule covers."""
    model = model.double().eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    attributes = [{k: v for k, v in vars(m).items() if not k.startswith("_")} for m in model.modules()]
    expected = reference(model, data, forward=options.get("forward"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowWay)
        assert worst(sensitivity(model, data, batch_size=batch_size, **options).mean, expected) < 1e-9
        half = emptied(copy_of(model).float())
        assert worst(sensitivity(half, single(data), batch_size=batch_size, **options).mean, expected) < 1e-5
        with torch.no_grad():
            k = Logits(copy_of(model), options.get("forward"))(Batch(data).rows(slice(0, 2)).inputs).shape[1]
        if fisher_too and k > 1 and "forward" not in options:
            y = torch.arange(len(Batch(data))) % k
            found = fisher(model, data, y, batch_size=batch_size).mean
            assert worst(found, reference(model, data, y)) < 1e-9
        plan = PerSample(Logits(model, options.get("forward")), squared_norm, Batch(data))
    assert set(plan.rest) == set(slow), plan.why
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    for m, held in zip(model.modules(), attributes, strict=True):
        assert {k: v for k, v in vars(m).items() if not k.startswith("_")}.keys() == held.keys()
        assert all(vars(m)[k] is v for k, v in held.items())
    copy.deepcopy(model)


def seeded(make, *args, **kwargs):
    torch.manual_seed(0)
    return make(*args, **kwargs)


def warmed(model):
    for layer in model.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None:
            layer.running_mean.normal_(0, 0.1, generator=generator())
            layer.running_var.uniform_(0.5, 1.5, generator=generator())
    return model


# ---- one family of rules after the other


@pytest.mark.parametrize("name", convolutions())
def test_convolutions(name):
    model, shape = seeded(lambda: convolutions()[name])
    agrees(model, randn(N, *shape))


@pytest.mark.parametrize("name", recurrent())
def test_recurrent_layers(name):
    agrees(Last(seeded(lambda: recurrent()[name])), randn(N, 6, 5))


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_cells_called_step_by_step(cell):
    def forward(self, x):
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        return self.head(state[0] if isinstance(state, tuple) else state)

    agrees(Function(forward, cell=seeded(cell, 5, 4), head=seeded(nn.Linear, 4, 3)), randn(N, 6, 5))


def test_a_packed_sequence_goes_the_slow_way():
    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.layer(packed)[1][-1])

    model = Function(forward, layer=seeded(nn.GRU, 5, 4, batch_first=True), head=seeded(nn.Linear, 4, 3))
    data = {"x": randn(N, 6, 5), "lengths": torch.arange(N) % 5 + 2}
    agrees(model, data, slow=[name for name, _ in model.named_parameters()])


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm1d(4), (4,)), (nn.BatchNorm1d(4), (4, 5)), (nn.BatchNorm2d(4), (4, 3, 3)),
        (nn.BatchNorm3d(4), (4, 2, 3, 2)), (nn.LayerNorm(5), (4, 5)), (nn.LayerNorm((4, 5)), (4, 5)),
        (nn.LayerNorm(5, bias=False), (4, 5)), (nn.GroupNorm(2, 4), (4, 5)), (nn.GroupNorm(2, 4), (4, 3, 3)),
        (nn.InstanceNorm1d(4, affine=True), (4, 7)), (nn.InstanceNorm2d(4, affine=True), (4, 3, 3)),
        (nn.InstanceNorm2d(4, affine=True, track_running_stats=True), (4, 3, 3)), (nn.RMSNorm(5), (4, 5)),
        (nn.PReLU(), (4, 3)), (nn.PReLU(4), (4, 3)),
    ],
)  # fmt: skip
def test_norms_and_gates(layer, shape):
    size = int(torch.tensor(shape).prod())
    model = seeded(lambda: nn.Sequential(copy.deepcopy(layer), nn.Tanh(), nn.Flatten(), nn.Linear(size, 3)))
    for p in model[0].parameters():
        p.data.uniform_(0.5, 1.5, generator=generator())
    agrees(warmed(model), randn(N, *shape))


@pytest.mark.parametrize(
    "table",
    [
        nn.Embedding(11, 6), nn.Embedding(11, 6, padding_idx=2), nn.Embedding(11, 6, sparse=True),
        nn.EmbeddingBag(11, 6), nn.EmbeddingBag(11, 6, mode="sum", padding_idx=3),
        nn.EmbeddingBag(11, 6, mode="max"),
    ],
)  # fmt: skip
def test_tables_of_rows(table):
    def forward(self, x):
        e = self.table(x)
        return self.head(torch.tanh(e.mean(1) if e.ndim == 3 else e))

    model = Function(forward, table=copy.deepcopy(table), head=seeded(nn.Linear, 6, 3))
    model.table.weight.data.normal_(generator=generator())
    agrees(model, words(N, 7))


def test_an_embedding_of_one_word_a_sample():
    agrees(nn.Sequential(seeded(nn.Embedding, 11, 6), nn.Tanh(), seeded(nn.Linear, 6, 3)), words(N))


def test_a_table_that_is_the_head_too():
    def forward(self, x):
        return F.linear(torch.tanh(self.embed(x).mean(1)), self.embed.weight)

    agrees(Function(forward, embed=seeded(nn.Embedding, 11, 6)), words(N, 7))


MATRICES = {
    "x @ W": lambda s, x: s.head(torch.tanh(x @ s.w)),
    "W @ x": lambda s, x: s.head(torch.tanh(s.square @ x)),
    "x @ W.T of a slice": lambda s, x: s.head(torch.tanh(x @ s.two[2:7].T @ s.w)),
    "addmm": lambda s, x: s.head(torch.tanh(torch.addmm(s.b, x.reshape(-1, 5), s.w).view(*x.shape[:2], 4))),
    "einsum": lambda s, x: s.head(torch.tanh(torch.einsum("nld,dhk->nlhk", x, s.w3).flatten(2))),
    "einsum, turned round": lambda s, x: s.head(
        torch.tanh(torch.einsum("dhk,nld->lnhk", s.w3, x).transpose(0, 1).flatten(2))
    ),
    "x @ v": lambda s, x: s.head(torch.softmax(x @ s.v, 1)[..., None] * x[..., :4]),
    "bilinear": lambda s, x: s.head(F.bilinear(x, x.flip(1), s.w32, s.b)),
    "weight norm": lambda s, x: s.head(torch.tanh(F.linear(x, s.g * s.w.T / s.w.norm(dim=0)[:, None]))),
    "one weight, three times": lambda s, x: s.head(torch.tanh(F.linear(torch.tanh(x @ s.w) @ s.w.T, s.w.T))),
    "slices of one weight": lambda s, x: s.head(torch.tanh(F.linear(x, s.two[:4]) * F.linear(x, s.two[4:8]))),
    "slices that overlap": lambda s, x: s.head(torch.tanh(F.linear(x, s.two[:4]) * F.linear(x, s.two[2:6]))),
    "two biases in one": lambda s, x: s.head(
        F.linear(x, s.w.T, torch.cat([s.b[:2], torch.zeros(1).to(x), s.b[3:]]))
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MATRICES)
def test_matrices_outside_layers(name):
    parts = dict(
        w=P(5, 4),
        square=P(4, 4, seed=6),
        two=P(10, 5),
        b=P(4),
        w3=P(5, 2, 2),
        v=P(5),
        g=P(4, 1),
        w32=P(4, 5, 5),
    )
    size = 5 if "@ x" in name else 4
    head = nn.Sequential(nn.Flatten(), seeded(nn.Linear, 4 * size, 3))
    agrees(Function(MATRICES[name], head=head, **parts), randn(N, 4, 5))


BROADCAST = {
    "positions": lambda s, x: x + s.rows,
    "positions from the left": lambda s, x: s.rows + x,
    "scale, subtracted": lambda s, x: torch.tanh(x) * s.row - s.rows / (1 + s.row.square()),
    "a class token": lambda s, x: torch.cat([s.row.expand(len(x), 1, -1), x], 1)[:, :4],
    "a repeated prompt": lambda s, x: torch.cat([s.rows.repeat(len(x), 1, 1)[:, :1], x[:, 1:]], 1),
    "a table at fixed places": lambda s, x: x + s.table(torch.arange(4).flip(0)[None] // 2),
    "where": lambda s, x: torch.where(x > 0, s.row, x * s.rows),
    "in place": lambda s, x: (x * 2).add_(s.rows).mul_(s.row),
    "one number": lambda s, x: torch.tanh(x * s.one) + s.one,
    "softmaxed": lambda s, x: x * torch.softmax(s.rows, 0),
    "expanded like the samples": lambda s, x: x * s.row.expand_as(x),
}  # fmt: skip


@pytest.mark.parametrize("name", BROADCAST)
def test_parameters_that_are_only_broadcast(name):
    def forward(self, x):
        return self.head(torch.tanh(BROADCAST[name](self, x)).flatten(1))

    parts = dict(
        rows=P(4, 5), row=P(5, seed=6), one=P(), table=nn.Embedding(4, 5), head=seeded(nn.Linear, 20, 3)
    )
    agrees(Function(forward, **parts), randn(N, 4, 5))


ATTENTIONS = {
    "plain": lambda s, x: s.a(x, x, x, need_weights=False),
    "keywords": lambda s, x: s.a(query=x, key=x, value=x),
    "causal": lambda s, x: s.a(x, x, x, attn_mask=torch.ones(4, 4).triu(1) > 0, need_weights=False),
    "padded": lambda s, x: s.a(x, x, x, key_padding_mask=(x[..., 0] > 0.9)),
    "cross": lambda s, x: s.a(x, x.flip(2), x.flip(1)),
    "with a learned key": lambda s, x: s.extra(x, x, x),
    "other sizes": lambda s, x: s.other(x, x[..., :3], x[..., :2]),
    "sequence first": lambda s, x: [s.first(*[x.transpose(0, 1)] * 3)[0].transpose(0, 1)],
    "learned bias": lambda s, x: [F.scaled_dot_product_attention(s.lin(x), x, x, attn_mask=s.bias)],
}  # fmt: skip


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention(name):
    torch.manual_seed(0)
    parts = dict(
        a=nn.MultiheadAttention(6, 2, batch_first=True), first=nn.MultiheadAttention(6, 2),
        extra=nn.MultiheadAttention(6, 2, batch_first=True, add_bias_kv=True, add_zero_attn=True),
        other=nn.MultiheadAttention(6, 2, batch_first=True, kdim=3, vdim=2),
        lin=nn.Linear(6, 6), bias=P(4, 4),
        head=nn.Linear(6, 3),
    )  # fmt: skip
    agrees(Function(lambda s, x: s.head(ATTENTIONS[name](s, x)[0].mean(1)), **parts), randn(N, 4, 6))


def test_noise_of_keys_is_zero_and_kept_on_request():
    layer = seeded(nn.MultiheadAttention, 6, 2, batch_first=True)
    layer.in_proj_bias.data.normal_(generator=generator())
    model = Function(
        lambda s, x: s.head(s.a(x, x, x)[0].mean(1)), a=layer, head=seeded(nn.Linear, 6, 3)
    ).eval()
    x = randn(40, 4, 6).float()
    keys = [sensitivity(model, x, keep_noise=keep).mean["a.in_proj_bias"][6:12] for keep in (False, True)]
    assert not keys[0].any() and keys[1].any() and keys[1].max() < 1e-5
    done = unlearn.lfssd(model, x[:10], x, 0.5)
    assert (
        torch.equal(done.model.a.in_proj_bias[6:12], layer.in_proj_bias[6:12]) and done.selected_share > 0.5
    )
    fishers = fisher(model, x, torch.arange(40) % 3).mean["a.in_proj_bias"]
    assert not fishers[6:12].any() and fishers[:6].all() and fishers[12:].all()


def test_frames_that_share_a_dimension_with_samples():
    agrees(warmed(seeded(Frames)), randn(N, 2, 8, 7, 7))


def test_swin_like_windows_and_tables():
    agrees(seeded(Swinging), randn(N, 8, 6))


@pytest.mark.parametrize("padded", [False, True])
def test_a_transformer_encoder_with_padding(padded):
    layer = nn.TransformerEncoderLayer(6, 2, 12, batch_first=True)

    def forward(self, x):
        mask = x[..., 0] > 0.9 if padded else None
        return self.head(self.encoder(x, src_key_padding_mask=mask).mean(1))

    model = seeded(lambda: Function(forward, encoder=nn.TransformerEncoder(layer, 2), head=nn.Linear(6, 3)))
    agrees(model, randn(N, 5, 6))
    names = ["head.*"]
    found = sensitivity(model, randn(N, 5, 6), parameters=names).mean
    assert worst(found, {k: v for k, v in reference(model, randn(N, 5, 6)).items() if k in found}) < 1e-9


# ---- section A: what was silently wrong


def test_a_single_row_is_right_where_pytorchs_batch_norm_is_not():
    model, x = warmed(seeded(Transposed)).eval(), torch.randn(N, 3, 8, 8, generator=generator())
    expected = reference(model, x)
    for size in (9, 3, 8, 1):  # 8 leaves one row
        assert worst(sensitivity(model, x, batch_size=size).mean, expected) < 1e-5
    for method in ("loop", "vmap"):
        assert worst(sensitivity(model, x, method=method).mean, expected) < 1e-5
    one = sensitivity(model, x, reduction="batch", batch_size=1).mean
    assert worst(one, expected) < 1e-5
    assert worst(sensitivity(model, x[:1]).mean, reference(model, x[:1])) < 1e-5


@pytest.mark.parametrize("as_attribute", [False, True])
@pytest.mark.parametrize("filled", [False, True])
def test_a_module_that_caches_is_read_anew_and_left_as_it_was(as_attribute, filled):
    model, x = seeded(Cached, as_attribute).double().eval(), randn(N, 3)
    if filled:
        with torch.no_grad():
            model(x)
    held = dict(model.cache), model.kept
    for reduction in ("sample", "batch"):
        found = sensitivity(model, x, reduction=reduction, batch_size=1).mean
        assert worst(found, reference(model, x)) < 1e-9
        assert model.cache.keys() == held[0].keys() and all(model.cache[k] is v for k, v in held[0].items())
        assert model.kept is held[1]
    agrees(model, x)


VIEWS = {
    "sequence first": lambda s, x: s.f(torch.prod(torch.tanh(s.e(x.transpose(0, 1))), 0)),
    "two views first": lambda s, x: s.f(
        torch.tanh(s.e(torch.cat([x[:, 0], x[:, 1]]))).view(2, len(x), 4).prod(0)
    ),
    "two views, sample by sample": lambda s, x: s.f(
        torch.tanh(s.e(x.flatten(0, 1))).view(len(x), 2, 4).prod(1)
    ),
    "slots": lambda s, x: s.f((torch.tanh(s.e(x)).transpose(0, 1) * s.slots[:, None]).sum(0)),
}


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 12])
@pytest.mark.parametrize("name", VIEWS)
def test_samples_in_any_dimension(name, batch_size):
    model = seeded(lambda: Function(VIEWS[name], e=nn.Linear(5, 4), f=nn.Linear(4, 3), slots=P(2, 4)))
    agrees(model, randn(12, 2, 5), batch_size=batch_size)


@pytest.mark.parametrize("reduction", ["sample", "batch"])
@pytest.mark.parametrize(
    "around", [torch.inference_mode, torch.no_grad, lambda: torch.autocast("cpu", torch.bfloat16)]
)
def test_what_the_caller_is_in_changes_nothing(around, reduction):
    model, x, y = (
        warmed(seeded(Transposed)).eval(),
        torch.randn(N, 3, 8, 8, generator=generator()),
        torch.arange(N) % 4,
    )
    options = dict(reduction=reduction, batch_size=4)
    expected = sensitivity(model, x, **options).mean, fisher(model, x, y, **options).mean
    with around():
        x = x * 1.0  # made in there
        found = sensitivity(model, x, **options), fisher(model, x, y, **options)
    for a, b in zip(found, expected, strict=True):
        assert all(torch.equal(a.mean[k], v) and a.sums[k].dtype == torch.float32 for k, v in b.items())


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize(
    "norm",
    [
        nn.utils.weight_norm, nn.utils.spectral_norm,
        nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm,
    ],
)  # fmt: skip
def test_weights_that_are_composed(norm):
    torch.manual_seed(0)
    model = nn.Sequential(norm(nn.Linear(5, 4)), nn.Tanh(), norm(nn.Linear(4, 3)))
    model(randn(3, 5).float())
    model.eval()
    model(randn(3, 5).float())  # leaves a weight with a history in the old style
    agrees_after = copy_of(model) if "parametrizations" in norm.__module__ else model
    x = randn(N, 5)
    expected = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fresh = nn.Sequential(norm(nn.Linear(5, 4)), nn.Tanh(), norm(nn.Linear(4, 3)))
        fresh.load_state_dict(agrees_after.state_dict())
        expected = reference(fresh, x)
        assert worst(sensitivity(agrees_after, x.float()).mean, expected) < 1e-5
        done = unlearn.lfssd(agrees_after, x[:3].float(), x.float(), 1.2)  # copies the model
    assert done.selected_share > 0 and torch.isfinite(done.model(x.float())).all()


def test_a_branch_that_later_samples_take():
    class Late(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.gain = nn.Linear(4, 3), nn.Linear(4, 3), P(3)

        def forward(self, x):
            return self.a(x) + torch.where(x[:, :1] > 0, self.b(x) * self.gain, 0.0)

    x = randn(N, 4).abs()
    x[:5, 0] *= -1
    agrees(seeded(Late), x)

    def forward(self, x):
        return self.a(x) if x.sum() < 100 else self.b(x)

    model = seeded(lambda: Function(forward, a=nn.Linear(4, 3), b=nn.Linear(4, 3))).double()
    with pytest.raises(RuntimeError, match=r"'b.bias', 'b.weight' in linear .* use method='vmap' or 'loop'"):
        sensitivity(model, [x, 100 + x])


MIXING = {
    "the mean of the batch": lambda s, x: s.f((x - x.mean(0)) / x.std(0)),
    "its own batch norm": lambda s, x: s.f(F.batch_norm(x, None, None, training=True)),
    "the first of the batch": lambda s, x: s.f(x - x[:1]),
    "the order": lambda s, x: s.f(x * torch.arange(1, len(x) + 1)[:, None]),
}


@pytest.mark.parametrize("name", MIXING)
def test_forwards_that_mix_samples_are_refused(name):
    model = Function(MIXING[name], f=seeded(nn.Linear, 4, 3))
    inside = nn.Sequential(nn.Tanh(), model).double()
    with pytest.raises(ValueError, match=r"layer '1' mixes the samples .* use reduction='batch'"):
        sensitivity(inside, randn(N, 4))
    for method in ("vmap", "loop"):
        with pytest.raises(ValueError, match="mixes the samples"):
            sensitivity(inside, randn(N, 4), method=method)
    assert sensitivity(inside, randn(N, 4), reduction="batch", batch_size=3).samples == N


def test_random_forwards_are_refused_and_the_generator_is_left_alone():
    model = nn.Sequential(nn.Linear(4, 30), Function(lambda s, x: F.dropout(x, 0.5)), nn.Linear(30, 3)).eval()
    before = torch.random.get_rng_state()
    with pytest.raises(ValueError, match=r"layer '1' is random in eval mode.*training=self.training"):
        sensitivity(model, torch.randn(5, 4, generator=generator()))
    assert torch.equal(before, torch.random.get_rng_state())


def test_batch_norm_in_training_mode_is_refused_and_its_statistics_stay():
    x, model = torch.randn(N, 4, generator=generator()), seeded(Stubborn)
    buffers = {k: v.clone() for k, v in model.named_buffers()}
    with pytest.raises(ValueError, match=r"layer 'b' is batch norm that stays in training mode"):
        sensitivity(model, x)
    sensitivity(model, x, reduction="batch", batch_size=3)
    functional = Function(
        lambda s, x: F.batch_norm(s.b.weight * x, s.b.running_mean, s.b.running_var, training=True),
        b=nn.BatchNorm1d(4),
    )
    with pytest.raises(ValueError, match=r"changes the buffer 'b.running_mean'"):
        sensitivity(functional, x)
    assert not functional.b.running_mean.any()
    assert all(torch.equal(v, buffers[k]) for k, v in model.named_buffers())


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (randn(N, 1), r"float64 \[4, 1\].*estimate\(score"),
        (torch.ones(N, 3), r"float32 \[4, 3\]: use y.argmax\(1\)"),
        (torch.ones(N, 3, dtype=torch.long), r"int64 \[4, 3\]"),
        (torch.ones(N, dtype=torch.bool), r"bool \[4\]"),
        (torch.full((N,), -100), r"label -100 is not among the 3 classes"),
        (torch.full((N,), 3), r"label 3 is not among the 3 classes of the logits, 0 to 2"),
        (torch.zeros(N - 1, dtype=torch.long), "9 inputs needs as many labels; got 8"),
    ],
)
@pytest.mark.parametrize("reduction", ["sample", "batch"])
def test_labels_that_are_not_classes_are_refused(y, message, reduction):
    with pytest.raises(ValueError, match=message):
        fisher(seeded(nn.Linear, 4, 3).double(), randn(N, 4), y, reduction=reduction, batch_size=4)


def test_labels_as_people_have_them():
    model, x, y = seeded(nn.Linear, 4, 3).double(), randn(N, 4), torch.arange(N) % 3
    expected = fisher(model, x, y).mean["weight"]
    for same in (y.tolist(), y.numpy(), y.int(), y[:, None], y.to(torch.uint8)):
        assert torch.equal(fisher(model, x, same).mean["weight"], expected)


def test_one_logit_has_no_cross_entropy():
    for model in (nn.Linear(4, 1), nn.Sequential(nn.Linear(4, 1), nn.Flatten(0))):
        with pytest.raises(ValueError, match=r"one logit a sample.*forward=lambda m, x"):
            fisher(model.double(), randn(N, 4), torch.zeros(N, dtype=torch.long))


def test_three_entries_a_batch_are_ambiguous():
    loader = DataLoader(TensorDataset(words(N, 5), torch.ones(N, 5), torch.arange(N) % 3), batch_size=4)
    for work in (sensitivity, fisher):
        with pytest.raises(ValueError, match=r"a batch of 3 entries.*\(inputs, labels\)"):
            work(nn.Sequential(nn.Embedding(11, 3)), loader)


# ---- values that leave PyTorch, uses that hide, rows that move: wrong without an exception on an earlier
# version


class Straight(torch.autograd.Function):
    """The sign of a weight, and its gradient as it is."""

    @staticmethod
    def forward(context, w):
        return torch.sign(w)

    @staticmethod
    def backward(context, g):
        return g


def one_hot(s, x):
    hot = torch.zeros(len(x), 3, dtype=x.dtype)
    hot[torch.arange(len(x)), x[:, 0].long()] = 1
    return F.linear(hot, s.t.T)


def moved(s, x):
    order = x[:, 1].argsort()
    return torch.tanh(s.f(torch.tanh(s.f(x))[order]))[order.argsort()]


OUT_OF_SIGHT = {
    "one by one": lambda s, x: s.f(x) + torch.stack([s.t[int(i)] for i in x[:, 0].tolist()]),
    "by a list": lambda s, x: s.f(x) + s.t[x[:, 0].long().tolist()],
    "one-hot by assignment": lambda s, x: s.f(x) + one_hot(s, x),
    "through numpy": lambda s, x: s.f(x) + torch.from_numpy(x.detach().numpy()[:, :3].copy()) @ s.t,
    "by an index": lambda s, x: s.f(x) + s.t[x[:, 0].long()],
    "straight through, behind a gate": lambda s, x: (
        s.f(x) + (x[:, :1] > 0.5) * F.linear(x, Straight.apply(s.w))
    ),
    "a second use behind a gate": lambda s, x: (
        s.f(x) + (x[:, :1] > 0.5) * F.linear(x, Straight.apply(s.f.weight))
    ),
    "a second use, hardly": lambda s, x: s.f(x) + 5e-4 * F.linear(x, Straight.apply(s.f.weight)),
    "sorted and back": moved,
}


@pytest.mark.parametrize("batch_size", [12, 5])
@pytest.mark.parametrize("name", OUT_OF_SIGHT)
def test_what_the_calls_do_not_show_is_right_or_refused(name, batch_size):
    x = randn(12, 5)
    x[:, 0] = torch.tensor([0, 2, 1, 0, 2, 1, 0, 2, 1, 0, 2, 1])  # the planned samples are all of kind 0
    x[[0, 3, 6, 9], 1] = torch.tensor([1.0, 2, 3, 4], dtype=x.dtype)
    forward = OUT_OF_SIGHT[name]
    parts = dict(f=nn.Linear(5, 5), t=P(3, 5), w=P(5, 5), o=nn.Linear(5, 3))
    model = seeded(lambda: Function(lambda s, x: s.o(torch.tanh(forward(s, x))), **parts)).double().eval()
    expected = reference(model, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowWay)
        try:
            assert worst(sensitivity(model, x, batch_size=batch_size).mean, expected) < 1e-9
        except RuntimeError as error:
            assert "use method='vmap' or 'loop'" in str(error)
        assert worst(sensitivity(model, x, method="loop").mean, expected) < 1e-9
    assert all(p.grad is None for p in model.parameters())


def test_equal_samples_hide_nothing():
    """The first batch is one sample, or four equal ones: of tokens, whose mirror image is another text."""

    def first(s, i):
        h = s.e(i).transpose(0, 1)
        return s.o(torch.tanh(s.l(h.reshape(-1, 5))).view(*h.shape[:2], -1).amax(0))

    def mixing(s, i):
        h = s.e(i).mean(1)
        return s.o(torch.tanh(s.l(h - h.mean(0)) + 1))

    parts = dict(e=nn.Embedding(7, 5), l=nn.Linear(5, 5), o=nn.Linear(5, 3))
    ids = words(12, 4, high=7)
    ids[[3, 6, 9]] = ids[0].clone()
    for data in (ids, [ids[:1], ids[1:]]):
        model = seeded(lambda: Function(first, **parts)).double()
        with warnings.catch_warnings():
            warnings.simplefilter("error", SlowWay)
            assert worst(sensitivity(model, data).mean, reference(model, ids)) < 1e-9
        with pytest.raises(ValueError, match="mixes the samples"):
            sensitivity(seeded(lambda: Function(mixing, **parts)).double(), data)


def test_inputs_of_another_length_go_their_own_way():
    def forward(s, x):
        if x.shape[1] > 6:
            return s.o(torch.tanh(s.l(x.transpose(0, 1))).amax(0))
        return s.o(torch.tanh(s.l(x)).amax(1))

    model = seeded(lambda: Function(forward, l=nn.Linear(5, 5), o=nn.Linear(5, 3))).double()
    batches = [
        randn(4, 6, 5),
        randn(4, 8, 5, seed=2),
        randn(3, 6, 5, seed=3),
        randn(1, 7, 5),
        randn(4, 8, 5, seed=4),
    ]
    parts = [reference(model, b) for b in batches]
    expected = {k: sum(len(b) * p[k] for b, p in zip(batches, parts, strict=True)) / 16 for k in parts[0]}
    assert worst(sensitivity(model, batches).mean, expected) < 1e-9


def test_what_a_forward_pass_leaves_behind_is_gone():
    def forward(s, x):
        s.mu = 0.99 * s.mu + 0.01 * 3
        s.register_buffer("mask", torch.ones(1))
        s.notes["a"] = s.seen.add(len(x))
        s.extra = nn.Identity()
        torch.rand(1)
        return s.f(x)

    model = Function(forward, f=seeded(nn.Linear, 5, 3)).double().eval()
    model.register_buffer("mu", torch.zeros(5))
    model.notes, model.seen = {}, set()
    before, mu, drawn = set(vars(model)), model.mu, torch.random.get_rng_state()
    for method in ("auto", "loop"):
        sensitivity(model, randn(N, 5), method=method)
    assert set(vars(model)) == before and not model.notes and not model.seen
    assert torch.equal(drawn, torch.random.get_rng_state())
    assert (
        model.mu is mu and not mu.any() and list(model._buffers) == ["mu"] and list(model._modules) == ["f"]
    )


def test_a_change_that_only_later_samples_bring_is_refused():
    def forward(s, x):
        if (x[:, 0] > 2).any():
            s.mu += x.detach().mean(0)
        return s.f(x)

    model = Function(forward, f=seeded(nn.Linear, 5, 3)).double().eval()
    model.register_buffer("mu", torch.zeros(5, dtype=torch.float64))
    x = randn(N, 5).clamp(max=1)
    late = x.clone()
    late[1, 0] = 3
    with pytest.raises(ValueError, match="changes the buffer 'mu' for some samples"):
        sensitivity(model, [x, late])
    assert not model.mu.any()


# ---- section B: inputs and outputs as people have them


class Text(nn.Module):
    """Ids, a mask, and the output of one's choice."""

    def __init__(self, out=lambda z: z):
        super().__init__()
        self.embed, self.head, self.out = nn.Embedding(11, 6), nn.Linear(6, 3), out

    def forward(self, input_ids, attention_mask, labels=None, flag=None):
        assert labels is None
        m = attention_mask[..., None].to(self.head.weight.dtype)
        return self.out(self.head(torch.tanh((self.embed(input_ids) * m).sum(1) / m.sum(1))))


Fields = namedtuple("Fields", "input_ids attention_mask labels")
Output = namedtuple("Output", "logits hidden")


def text():
    mask = torch.ones(N, 5, dtype=torch.long)
    mask[::2, -2:] = 0
    return dict(input_ids=words(N, 5), attention_mask=mask), torch.arange(N) % 3


def test_dictionaries_named_tuples_and_adapters_are_the_same_data():
    inputs, y = text()
    model = seeded(Text).double()
    agrees(model, inputs)
    agrees(model, inputs | {"flag": True}, fisher_too=False)
    one, other = sensitivity(model, inputs).mean, fisher(model, inputs, y).mean
    whole = inputs | {"labels": y}
    batches = [{k: v[k0 : k0 + 4] for k, v in whole.items()} for k0 in range(0, N, 4)]
    tuples = [Fields(**batch) for batch in batches]
    pairs = [({k: v for k, v in b.items() if k != "labels"}, b["labels"]) for b in batches]
    threes = [tuple(b) for b in tuples]

    def adapter(model, batch):
        return model(batch[0], batch[1])

    for data, options in (
        (whole, {}), (batches, {}), (tuples, {}), (pairs, {}), (Fields(**whole), {}),
        (threes, dict(forward=adapter)),
        ({k: v.numpy() for k, v in whole.items()}, {}),
    ):  # fmt: skip
        for work, expected in ((sensitivity, one), (fisher, other)):
            found = work(model, data, **options).mean
            assert all(torch.allclose(found[k], v, rtol=1e-9) for k, v in expected.items())
    done = unlearn.lfssd(model, {k: v[:3] for k, v in inputs.items()}, inputs, 1.2)
    assert done.selected_share > 0


@pytest.mark.parametrize(
    "out",
    [lambda z: Output(z, z), lambda z: {"logits": z, "hidden": z}, lambda z: (z,), lambda z: {"out": z}],
)
def test_outputs_with_logits_in_them(out):
    inputs, _ = text()
    found, expected = (sensitivity(seeded(Text, o).double(), inputs).mean for o in (out, lambda z: z))
    assert all(torch.equal(found[k], v) for k, v in expected.items())


@pytest.mark.parametrize(
    "out", [lambda z: (z, z), lambda z: [z, z], lambda z: {"a": z, "b": z}, lambda z: z.argmax(1)]
)
def test_outputs_that_could_be_anything_are_refused(out):
    with pytest.raises(TypeError, match="forward="):
        sensitivity(seeded(Text, out), text()[0])


def test_arrays_lists_and_data_sets():
    model, x, y = seeded(nn.Linear, 4, 3), randn(N, 4), torch.arange(N) % 3
    expected = sensitivity(model, x.float()).mean["weight"]
    pairs = [(x[k : k + 4].numpy(), y[k : k + 4].numpy()) for k in range(0, N, 4)]
    for data in (x.float().numpy(), TensorDataset(x.float(), y), pairs, [list(p) for p in pairs]):
        assert torch.allclose(sensitivity(model, data).mean["weight"], expected)
    assert torch.allclose(
        fisher(model, TensorDataset(x.float(), y)).mean["weight"], fisher(model, x.float(), y).mean["weight"]
    )


def test_single_images_are_refused_with_the_remedy():
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(0), nn.Linear(72, 3))
    with pytest.raises(ValueError, match=r"takes the batch of 3, but not 4 of its rows.*Stack single images"):
        sensitivity(model, [torch.randn(3, 8, 8) for _ in range(4)])
    with pytest.raises(ValueError, match="a tuple of 2 is neither inputs nor a loader"):
        sensitivity(model, (torch.randn(4, 3, 8, 8), torch.zeros(4)))
    with pytest.raises(ValueError, match="data must be a tensor"):
        sensitivity(model, 3)


def test_bags_with_offsets_are_refused_with_the_remedy():
    bags = [{"input": words(20), "offsets": torch.arange(0, 20, 5)}]
    with pytest.raises(ValueError, match=r"shapes \[20\], \[4\].*Pad bags and offsets to \[N, L\]"):
        sensitivity(nn.EmbeddingBag(11, 3), bags)


def test_squeezed_and_positional_outputs():
    squeezed = seeded(lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1)))
    agrees(Function(lambda s, x: s.net(x).squeeze(), net=squeezed), randn(N, 4), fisher_too=False)
    agrees(
        seeded(lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))),
        randn(N, 6, 4),
        fisher_too=False,
    )


def test_transfer_learning_under_no_grad():
    def forward(self, x):
        with torch.no_grad():
            h = torch.tanh(self.backbone(x))
        return self.head(h)

    model = seeded(lambda: Function(forward, backbone=nn.Linear(5, 4), head=nn.Linear(4, 3)))
    agrees(model, randn(N, 5))
    assert not sensitivity(model, randn(N, 5)).mean["backbone.weight"].any()


def test_activation_checkpoints():
    from torch.utils.checkpoint import checkpoint

    def forward(self, x):
        return self.head(checkpoint(self.block, x, use_reentrant=False))

    block = seeded(lambda: nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 4)))
    model = Function(forward, block=block, head=seeded(nn.Linear, 4, 3)).double().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowWay)
        assert worst(sensitivity(model, randn(N, 5)).mean, reference(model, randn(N, 5))) < 1e-9


def test_a_mixture_of_experts_goes_the_slow_way():
    x = randn(N, 4)
    x[:, 0] *= torch.tensor([1.0, -1.0] * 4 + [1.0])
    agrees(seeded(Experts), x, slow=["a.weight", "a.bias", "b.weight", "b.bias"])


def test_a_module_in_two_places_is_left_whole():
    """torch.func.functional_call leaves such a model without its parameters."""
    shared = seeded(nn.Linear, 4, 4)
    model = nn.Sequential(
        shared, nn.Tanh(), nn.Sequential(shared, nn.Tanh()), seeded(nn.Linear, 4, 3)
    ).double()
    before = dict(model.named_parameters())
    for method in ("auto", "loop", "vmap"):
        assert (
            worst(sensitivity(model, randn(N, 4), method=method).mean, reference(model, randn(N, 4))) < 1e-9
        )
        assert all(p is before[k] and isinstance(p, nn.Parameter) for k, p in model.named_parameters())


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Embedding(11, 3, max_norm=1.0), r"layer '0' has max_norm=1.0: it changes its own weights"),
        (nn.Embedding(11, 3, scale_grad_by_freq=True), "layer '0' has scale_grad_by_freq=True"),
        (nn.Embedding(11, 3, device="meta"), "parameter '0.weight' is on the meta device"),
        (nn.LazyLinear(3), "parameter '0.weight' has no shape yet"),
    ],
)
def test_layers_that_are_refused_by_name(layer, message):
    with pytest.raises(ValueError, match=message):
        sensitivity(nn.Sequential(layer), words(N, 4))


# ---- what it says about itself


def test_a_slow_way_warns_once_and_says_why():
    x = randn(N, 4)
    with pytest.warns(SlowWay, match=r"4 of 6 parameters .*'a.weight': .*importance.explain") as caught:
        sensitivity(seeded(Experts).double(), x, batch_size=3)
    assert len([w for w in caught if w.category is SlowWay]) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sensitivity(seeded(nn.Linear, 4, 3).double(), x)


def test_explain_names_the_ways_and_their_costs():
    table = explain(seeded(Experts).double(), randn(64, 4))
    assert table["parameters"].sum() == 6 and table["weights"].sum() == 45
    assert table["way"].iloc[0] == "linear" and table["way"].iloc[1] in ("vmap", "loop")
    assert "sees rows that the data choose" in table["why"].iloc[1]
    assert (table["passes"] >= 0).all() and table["passes"].iloc[1] > 0
    everything = explain(seeded(Text).double(), text()[0])
    assert set(everything["way"]) == {"linear", "embedding"} and not everything["why"].any()


def test_estimate_takes_any_inputs_too():
    inputs, y = text()
    model = seeded(Text).double()
    found = estimate(
        model, inputs, y, score=lambda z, y: F.cross_entropy(z, y, reduction="none"), accumulate="square"
    )
    expected = fisher(model, inputs, y)
    assert all(torch.allclose(found.mean[k], v) for k, v in expected.mean.items())


def test_numpy_in_float64_meets_a_float32_model():
    x = np.random.default_rng(0).normal(size=(N, 4))
    assert sensitivity(seeded(nn.Linear, 4, 3), [x]).samples == N


def test_mixing_that_only_larger_batches_show_is_refused():
    def forward(self, x):
        z = self.b(torch.tanh(self.a(x)))
        return z - z.mean(0) if len(z) > 5 else z

    model = Function(forward, a=seeded(nn.Linear, 4, 5), b=seeded(nn.Linear, 5, 3)).eval()
    sensitivity(model, randn(5, 4).float())
    with pytest.raises(ValueError, match=r"the model's forward\(\) mixes the samples of a batch of 9"):
        sensitivity(model, randn(9, 4).float())


class Remembers(nn.Module):
    """Notes things down in a tensor, and in lists within a dictionary."""

    def __init__(self, tensor: bool):
        super().__init__()
        self.f, self.seen, self.tensor = nn.Linear(4, 3), torch.zeros(3), tensor
        self.log = {"outputs": [], "of": {"sizes": []}}

    def forward(self, x):
        z = self.f(x)
        if self.tensor:
            self.seen.mul_(0.5).add_(z.detach().mean(0))
        self.log["outputs"].append(z)
        self.log["of"]["sizes"].append(len(x))
        return z + self.seen


@pytest.mark.parametrize("method", ["auto", "loop", "vmap"])
def test_collections_within_collections_are_as_before(method):
    model = seeded(Remembers, False).double().eval()
    expected = reference(model, randn(N, 4))
    model.log["outputs"].clear(), model.log["of"]["sizes"].clear()
    assert worst(sensitivity(model, randn(N, 4), method=method).mean, expected) < 1e-9
    assert model.log == {"outputs": [], "of": {"sizes": []}}


def test_a_tensor_that_a_layer_changes_in_place_is_named_and_put_back():
    model = seeded(Remembers, True).double().eval()
    before = model.seen.clone()
    with pytest.raises(ValueError, match="changes the buffer 'seen'"):
        sensitivity(model, randn(N, 4))
    assert torch.equal(model.seen, before) and model.log["outputs"] == []
