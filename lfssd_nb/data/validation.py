"""A part of D that no network sees, in the place of the test set: for whatever is chosen before the test."""

from dataclasses import replace

import torch

from .dataset import Dataset, columns
from .encode import stratified


def validation(data: Dataset, share: float = 0.1, seed: int = 0) -> Dataset:
    """``data`` without its test set: of the training samples a stratified ``share`` is the new test set, the
    rest the new D. What is trained and tuned on it has seen no test sample.

    Raises ``ValueError`` for a share that leaves one side without a sample of each class.
    """
    labels = data.train_y if data.train_sub is None else data.train_sub
    n, n_classes = round(share * len(labels)), len(data.subclasses or data.classes)
    if not n_classes <= n <= len(labels) - n_classes:
        raise ValueError(
            f"share={share} of {len(labels)} {data.show.noun} leaves {n} to validate with: choose one "
            f"that gives each side a sample of each of the {n_classes} classes"
        )
    unseen = stratified(labels, n, torch.Generator().manual_seed(seed))
    kept = torch.ones(len(labels), dtype=torch.bool, device=labels.device)
    kept[unseen] = False
    parts = columns(data, "train", kept.nonzero()[:, 0]) | columns(data, "train", unseen, "test")
    source = f"{data.source}; {n} of {len(labels)} training {data.show.noun} in place of the test set"
    return replace(data, name=f"{data.name}, validation", source=source, **parts)
