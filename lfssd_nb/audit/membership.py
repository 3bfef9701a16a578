"""Does the model still treat D_f as training data? The entropy membership attack, done soundly.

A logistic regression learns to tell members (D_r, on which the model was trained) from non-members
(the test set) by the entropy of the predicted distribution, H = -sum_k p_k log p_k (nats), and is
then asked about D_f. The share it calls members is the ``mia`` of the SSD papers. It is fitted on
one half of members and non-members, and how good it is at all is measured on the other half.

The test set takes part as a whole, in class forgetting with the images of the forgotten class: images
that look forgotten count as "never seen", for gold as for any other model.

Lower is not better: compare with a gold model. An ``mia`` far below gold's marks images that look
*unlike* any test image, which tells on them just as well.
"""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from ..data.dataset import Dataset
from ..data.scenarios import Scenario, check
from ..networks.forward import check_logits
from .how_accurate import Outputs, outputs


@dataclass(frozen=True)
class Attack:
    """``mia``: share of D_f called members, 0..1. ``balanced_accuracy`` (0.5 is chance) and ``auc``
    of the attack on members and non-members that it was not fitted on."""

    mia: float
    balanced_accuracy: float
    auc: float


def entropy(z: Tensor) -> Tensor:
    """Entropy in nats of softmax(z), ``[N]`` for logits ``[N, K]``; exact where p is 0. Raises what
    `forward.check_logits` raises."""
    check_logits(z)
    log_p = torch.log_softmax(z.cpu().double(), dim=1)  # MPS has no float64
    return -(log_p.exp() * log_p).nan_to_num(nan=0.0).sum(1)


def entropy_attack(model: nn.Module | Outputs, data: Dataset, scenario: Scenario, seed: int = 0) -> Attack:
    """Fits the attack on D_r against the test set and applies it to D_f.

    As many members as there are test images take part (all of D_r if it is smaller), drawn with
    ``seed``, and are split in halves: fit on one, score on the other. With a single test image, or a single
    one retained, there are no halves, and all three numbers are NaN.
    """
    check(data, scenario)
    generator = torch.Generator().manual_seed(seed)
    n_members = min(len(scenario.retain), len(data.test_y))
    drawn = torch.randperm(len(scenario.retain), generator=generator)[:n_members]
    z = outputs(model, data)
    if n_members < 2:
        return Attack(float("nan"), float("nan"), float("nan"))
    train, test = (entropy(part).cpu().numpy()[:, None] for part in (z.train, z.test))
    features = np.concatenate([train[scenario.retain[drawn.to(data.device)].cpu().numpy()], test])
    is_member = np.repeat([1, 0], [n_members, len(test)])
    x_fit, x_score, y_fit, y_score = train_test_split(
        features, is_member, test_size=0.5, random_state=seed, stratify=is_member
    )
    attack = LogisticRegression(class_weight="balanced").fit(x_fit, y_fit)
    asked = train[scenario.forget.cpu().numpy()]  # numpy takes a tensor of one position for a number
    return Attack(
        mia=float(attack.predict(asked).mean()),
        balanced_accuracy=float(balanced_accuracy_score(y_score, attack.predict(x_score))),
        auc=float(roc_auc_score(y_score, attack.decision_function(x_score))),
    )
