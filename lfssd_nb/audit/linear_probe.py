"""What do the features still know? A linear probe asks them whether an image is of the forgotten class.

Output accuracies see only the last layer. When forgetting merely switches a class off there, a logistic
regression on the features finds it as well as before. Compare with a gold model: its features, learnt
from the other classes alone, separate a new class quite well too.
"""

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from ..data.dataset import Dataset
from ..data.scenarios import Scenario, check
from ..networks.forward import logits
from ..parameters import last_linear


def features(model: nn.Module, x: Tensor, batch_size: int = 128) -> Tensor:
    """The inputs of the model's last ``nn.Linear``, ``[N, F]``, in eval mode.

    That is the pooled feature map of a ResNet and the class token of a ViT.
    Raises ``ValueError`` for a model without a linear layer.
    """
    head = last_linear(model, x)
    seen = []
    hook = head.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().flatten(1)))
    try:
        logits(model, x, batch_size)
    finally:
        hook.remove()
    return torch.cat(seen)


def probe_auroc(
    model: nn.Module, data: Dataset, scenario: Scenario, n_labels: int | None = None, seed: int = 0
) -> float:
    """AUROC, on the test set, of a linear probe for "is it of the forgotten class or sub-class?".

    A logistic regression on standardised features of D, D_f against D_r; with ``n_labels`` on that many
    images of each, drawn with ``seed``: an attacker rarely has all of D.
    Raises ``ValueError`` for random forgetting (nothing to tell apart), a test set of which nothing is
    retained, or more labels than there are.
    """
    check(data, scenario)
    if not len(scenario.test_retain):
        raise ValueError(f"all {len(scenario.test_forget)} test images are forgotten: a probe has no others")
    if not len(scenario.test_forget):
        raise ValueError(f"{scenario.kind} forgetting has no forgotten test images for a probe to find")
    sides = [scenario.forget, scenario.retain]
    if n_labels is not None:
        if not 0 < n_labels <= min(map(len, sides)):
            raise ValueError(f"n_labels={n_labels} is not possible: choose 1 to {min(map(len, sides))}")
        generator = torch.Generator().manual_seed(seed)
        drawn = [torch.randperm(len(side), generator=generator)[:n_labels] for side in sides]
        sides = [side[order.to(side.device)] for side, order in zip(sides, drawn, strict=True)]
    train, test = (features(model, x).cpu().numpy() for x in (data.train_x[torch.cat(sides)], data.test_x))
    is_forgotten = torch.arange(len(train)) < len(sides[0])
    probe = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000))
    found = probe.fit(train, is_forgotten.numpy()).decision_function(test)
    truth = torch.zeros(len(test), dtype=torch.bool)
    truth[scenario.test_forget.cpu()] = True
    return float(roc_auc_score(truth.numpy(), found))
