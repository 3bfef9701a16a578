"""Models from torchvision, timm and transformers, of random weights, against the float64 loop."""

import warnings

import pytest
import torch
from test_any_module import reference, warmed, worst

from lfssd_nb.importance import explain, fisher, sensitivity
from lfssd_nb.per_sample import SlowWay

N = 5


def images(size: int) -> torch.Tensor:
    return torch.randn(N, 3, size, size, generator=torch.Generator().manual_seed(1))


def text() -> dict[str, torch.Tensor]:
    ids = torch.randint(3, 99, (N, 11), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[::2, -3:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def vision(name: str, **options):
    """From torchvision, or from timm if torchvision has none of that name."""
    import torchvision

    if hasattr(torchvision.models, name):
        return getattr(torchvision.models, name)(num_classes=7, **options)
    return pytest.importorskip("timm").create_model(name, num_classes=7, **options)


VISION = {  # name: (size of the images, options); what each stands for
    "shufflenet_v2_x0_5": (32, {}),  # groups, shuffled channels
    "mobilenet_v3_small": (32, {}),  # depthwise, squeeze and excitation
    "swin_v2_t": (64, {}),  # windows, a table of positions that a network makes, F.linear
    "levit_128s": (224, {}),  # a cache of attention biases
    "coat_lite_tiny": (64, dict(img_size=64)),  # one module in several places
    "xcit_nano_12_p8_224": (32, {}),  # a temperature, tokens that are repeated
    "convnext_atto": (32, {}),  # layer scales
    "deit_tiny_distilled_patch16_224": (
        32,
        dict(depth=2, img_size=32, patch_size=8),
    ),  # two tokens, two heads
}
LAYERS = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, vocab_size=99,
              max_position_embeddings=64, num_labels=5, pad_token_id=0)  # fmt: skip
GPT2 = dict(n_embd=32, n_layer=2, n_head=4, vocab_size=99, n_positions=64, num_labels=5, pad_token_id=0)
LANGUAGE = {
    "Bert": LAYERS, "Electra": LAYERS | dict(embedding_size=16), "Albert": LAYERS | dict(embedding_size=16),
    "DistilBert": dict(dim=32, n_layers=2, n_heads=4, hidden_dim=48, vocab_size=99, num_labels=5,
                       pad_token_id=0),
    "GPT2": GPT2, "Llama": LAYERS | dict(num_key_value_heads=2),
}  # fmt: skip


def language(name: str):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**LANGUAGE[name])
    return getattr(transformers, f"{name}ForSequenceClassification")(config).eval()


def all_by_rules(model, data):
    with warnings.catch_warnings():
        warnings.simplefilter("error", SlowWay)
        assert worst(sensitivity(model, data).mean, reference(model, data)) < 1e-5


@pytest.mark.filterwarnings("ignore::UserWarning:timm", "ignore::FutureWarning")
@pytest.mark.parametrize("name", VISION)
def test_vision(name):
    size, options = VISION[name]
    torch.manual_seed(0)
    all_by_rules(warmed(vision(name, **options)).eval(), images(size))


@pytest.mark.parametrize("name", LANGUAGE)
def test_language(name):
    model, data = language(name), text()
    before = dict(model.named_parameters())
    all_by_rules(model, data)
    y = torch.arange(N) % 5
    found = fisher(model, {**data, "labels": y}).mean
    assert worst(found, reference(model, data, y)) < 1e-5
    assert all(p is before[k] for k, p in model.named_parameters())


def test_relative_positions_of_deberta_go_the_slow_way_and_are_right():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.DebertaV2Config(**LAYERS, relative_attention=True, pos_att_type=["p2c", "c2p"])
    model = transformers.DebertaV2ForSequenceClassification(config).eval()
    with pytest.warns(SlowWay, match="no rule for"):
        found = sensitivity(model, text()).mean
    assert worst(found, reference(model, text())) < 1e-5
    table = explain(model, text())
    assert table["why"].str.contains("no rule for").any() and {"linear", "embedding"} <= set(table["way"])
