"""Answers to the exercises of page 08."""


def auc(a, b):
    a, b = a[:, None], b[None]
    return ((a > b).double() + (a == b).double() / 2).mean().item()


RIGHT = {
    "two_sided": lambda a, b: abs(auc(a, b) - 0.5),
}
WRONG = {
    "two_sided": [
        (auc, "that is the AUC itself: subtract"),
        (lambda a, b: 1 - auc(a, b), "the other way round"),
        (lambda a, b: auc(a, b) - 0.5, "lower scores tell"),
        (lambda a, b: 0.5 - auc(a, b), "higher scores tell"),
        (lambda a, b: abs((a[:, None] > b).double().mean().item() - 0.5), "as half, not as nothing"),
        (lambda a, b: abs((a[:, None] >= b).double().mean().item() - 0.5), "as half, not as a win"),
        (lambda a, b: abs(2 * auc(a, b) - 1), "without a factor of 2"),
        (lambda a, b: max(auc(a, b), 1 - auc(a, b)), "do not fold"),
        (lambda a, b: abs(a.mean() - b.mean()), "every a with every b"),
        (lambda a, b: (auc(a, b) - 0.5) ** 2, "not the square"),
        (lambda a, b: abs((a > b).double().mean() - 0.5), "RuntimeError in line"),
        (lambda a, b: abs((a[:, None] > b).double().mean(1) - 0.5), "return one number, not a tensor"),
        (lambda a, b: float((a.sort().values[len(a) // 2] > b.median()) / 2), "expected"),
    ],
}  # fmt: skip
