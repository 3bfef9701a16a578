"""Vision transformers: torchvision's ``VisionTransformer`` in four sizes.

* ``micro`` for 8x8 digits: 2x2 patches (16 tokens), 4 layers, width 64: 0.14 M parameters;
* ``tiny`` for 32x32 CIFAR on a CPU: 8x8 patches (16 tokens), 4 layers, width 128: 0.6 M parameters;
* ``small`` for 32x32 CIFAR: 4x4 patches (64 tokens), 6 layers, width 256: 3.2 M parameters;
* ``vit_b_16``: ViT-B/16 at 224x224 with ImageNet weights, 85.8 M parameters. torchvision downloads
  the weights on first use; the images are enlarged inside the model, so that it takes any size.

Source: Dosovitskiy et al. 2021 (2010.11929); code and weights: torchvision.
"""

import hashlib
from pathlib import Path
from pickle import UnpicklingError
from urllib.error import URLError

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.dataset import Dataset
from .architecture import check_images, network

SIZES = {
    "micro": dict(patch_size=2, num_layers=4, num_heads=4, hidden_dim=64, mlp_dim=128),
    "tiny": dict(patch_size=8, num_layers=4, num_heads=4, hidden_dim=128, mlp_dim=256),
    "small": dict(patch_size=4, num_layers=6, num_heads=4, hidden_dim=256, mlp_dim=512),
}


class _GreyOrColour(nn.Module):
    """Enlarges images to 224x224 and repeats a grey channel three times, then calls ViT-B/16."""

    def __init__(self, vit: nn.Module):
        super().__init__()
        self.vit = vit

    def forward(self, x: Tensor) -> Tensor:
        x = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        return self.vit(F.interpolate(x, size=224, mode="bilinear", antialias=True))


def vit_b_16(weights: str | None) -> nn.Module:
    """torchvision's, with its weights by name.

    The file in the hub's folder is read if its SHA-256 begins as the name that torchvision publishes says,
    and only tensors are: it is a pickle, which could run any program. Raises ``ValueError`` for another file.
    """
    from torchvision.models import ViT_B_16_Weights, vit_b_16

    model = vit_b_16(weights=None)
    if weights is None:
        return model
    url = ViT_B_16_Weights[weights].url
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    published = path.stem.rpartition("-")[2]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, path, published)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
        if not found.startswith(published):
            raise ValueError(
                f"{path} is not the file of {url}: its SHA-256 is {found[:8]}..., not {published}...; delete "
                "it, and it is downloaded again"
            )
        file.seek(0)
        model.load_state_dict(torch.load(file, "cpu", weights_only=True))
    return model


def vit(n_classes: int, channels: int, image_size: int, size: str, pretrained: bool = True) -> nn.Module:
    """Builds a ViT: images ``[N, channels, image_size, image_size]`` to logits ``[N, n_classes]``.

    pretrained: whether ``vit_b_16`` starts from its ImageNet weights; the other sizes never do.
    Raises ``ValueError`` for an unknown size, or other weights in the hub's folder than torchvision's, and
    ``ConnectionError`` when those cannot be downloaded.
    """
    if size == "vit_b_16":
        try:
            model = vit_b_16(weights="IMAGENET1K_V1" if pretrained else None)
        except (URLError, OSError, RuntimeError, UnpicklingError) as error:
            raise ConnectionError(
                f"the ImageNet weights of vit_b_16 could not be downloaded or read ({error}): connect to the "
                "network once (a copy of that file in torch.hub.get_dir()/checkpoints does, too: its "
                "checksum is looked at)"
            ) from error
        model.heads = nn.Sequential(nn.Linear(model.hidden_dim, n_classes))
        return _GreyOrColour(model)
    if size not in SIZES:
        raise ValueError(f"unknown ViT size {size!r}; choose from {sorted(SIZES)} or 'vit_b_16'")
    from torchvision.models import VisionTransformer  # imports for seconds: not for who trains a ResNet

    model = VisionTransformer(image_size=image_size, num_classes=n_classes, **SIZES[size])
    if channels != 3:
        patch, width = SIZES[size]["patch_size"], SIZES[size]["hidden_dim"]
        model.conv_proj = nn.Conv2d(channels, width, patch, patch)
    # torchvision starts the head at zero: every logit, and so every sensitivity, would be 0.
    nn.init.trunc_normal_(model.heads.head.weight, std=0.02)
    return model


@network("vit", width=16, sizes=(*SIZES, "vit_b_16"))
def sized(data: Dataset, width: int, size: str | None, pretrained: bool) -> nn.Module:
    """For square images ``[N, C, H, H]``; without a size the one that fits them. It has no width."""
    check_images(data, "vit")
    pixels = data.train_x.shape[-1]
    fitting = "micro" if pixels < 16 else "small"
    return vit(len(data.classes), data.train_x.shape[1], pixels, size or fitting, pretrained)
