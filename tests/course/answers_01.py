"""Answers to the exercises of page 01."""

import torch


def kept(n, forget):
    return [k for k in range(n) if k not in forget.tolist()]


def overwriting(n, forget):
    forget.sort()
    forget[:1] = 0
    return torch.tensor(kept(n, forget), dtype=torch.int64)


RIGHT = {
    "retain_index": lambda n, forget: torch.tensor(kept(n, forget), dtype=torch.int64),
}
WRONG = {
    "retain_index": [
        (lambda n, f: kept(n, f), "return a tensor, not list"),
        (lambda n, f: torch.tensor([k not in f.tolist() for k in range(n)]), "not a mask"),
        (lambda n, f: torch.tensor(kept(n, f)[::-1], dtype=torch.int64), "keep the order of D"),
        (lambda n, f: f, "those are the positions to forget"),
        (lambda n, f: torch.arange(n), "all are there"),
        (lambda n, f: torch.arange(n - len(f)), "not numbers from 0 on"),
        (lambda n, f: torch.tensor(kept(n, f))[:, None], r"\[N_r\], not a column"),
        (overwriting, "the arguments have changed"),
        (lambda n, f: torch.tensor(list(set(range(n)) - set(f))), "all are there"),
        (lambda n, f: torch.tensor(kept(n, f)) + 1, "expected .* got"),
        (lambda n, f: set(range(n)).difference(f.tolist()), "not set"),
        (lambda n, f: None, "nothing came back"),
        (lambda n, f: torch.ones(n)[f].nonzero(as_tuple=True)[3], "IndexError"),
    ],
}  # fmt: skip
