"""Answers to the exercises of page 20."""

import torch
from torch import nn


def head_shares(f, h, forget, of=lambda a, b: abs(a * b), silent=0.0, whole=lambda mine, rest: mine + rest):
    """Weight by weight and sample by sample."""
    inside = {*forget.tolist()}
    found = torch.zeros(f.shape[1], h.shape[1], dtype=torch.float64)
    for k in range(f.shape[1]):
        for j in range(h.shape[1]):
            each = [of(a, b) for a, b in zip(f[:, k].tolist(), h[:, j].tolist(), strict=True)]
            mine = sum(v for n, v in enumerate(each) if n in inside)
            rest = sum(v for n, v in enumerate(each) if n not in inside)
            found[k, j] = mine / whole(mine, rest) if mine or rest else silent
    return found


def shares_with(**how):
    return lambda *a: head_shares(*a, **how)


def by_gradients(f, h, forget):
    """With the gradient of each sample."""
    importance = []
    for logits, features in zip(f.double(), h.double(), strict=True):
        w = torch.zeros(len(logits), len(features), dtype=torch.float64, requires_grad=True)
        length = (w @ features + logits).square().sum()
        importance.append(torch.autograd.grad(length, w)[0].abs())
    every = torch.stack(importance)
    whole = every.sum(0)
    return torch.where(whole > 0, every[forget].sum(0) / whole.clamp(min=1e-300), 0.0)


def of_one(values, forget):
    size = values.abs()
    return (size[forget].sum(0) / size.sum(0)).nan_to_num(0.0)


def signed_sums(f, h, forget):
    return ((f[forget].T @ h[forget]).abs() / (f.T @ h).abs()).nan_to_num(0.0)


def absolute_in_place(f, h, forget):
    return head_shares(f.abs_(), h.abs_(), forget)


def by_ratio(f, h, forget):
    importance = (f[:, :, None] * h[:, None]).abs()
    return (importance[forget].mean(0) / importance.mean(0)).nan_to_num(0.0)


def only_first_rows(f, h, forget):
    n = len(forget)
    return head_shares(f, h, torch.arange(n))


def safe_slots(
    a,
    forget,
    answers,
    budget,
    score=lambda mine, rest: mine / (mine + rest) if mine + rest else 0.0,
    loss=lambda of_class: sum(of_class) / len(of_class),
    over=max,
    enough=lambda lost, budget: lost > budget,
    looked=lambda mine: mine > 0,
    groups=lambda kinds: sorted({*kinds}),
    skip=False,
    adds=True,
    behind=False,
    whole=False,
):
    """Slot by slot."""
    inside = {*forget.tolist()}
    stays = [n for n in range(len(a)) if n not in inside or whole]
    rows, kinds = a.tolist(), answers.tolist()

    def of(slot):
        mine = sum(rows[n][slot] for n in inside)
        return mine, sum(rows[n][slot] for n in range(len(a)) if n not in inside)

    order = sorted(range(a.shape[1]), key=lambda slot: -score(*of(slot)))
    taken = []
    for slot in order:
        if not looked(of(slot)[0]):
            continue
        gone = [*taken, slot] if adds else [slot]
        lost = []
        for kind in groups([kinds[n] for n in stays]):
            members = [n for n in stays if kind is None or kinds[n] == kind]
            lost.append(loss([sum(rows[n][m] for m in gone) for n in members]))
        if enough(over(lost), budget):
            if skip:
                continue
            if behind:
                taken.append(slot)
            break
        taken.append(slot)
    return torch.tensor(taken, dtype=torch.long)


def slots_with(**how):
    return lambda *a: safe_slots(*a, **how)


def by_odds(a, forget, answers, budget):
    """Sorted by the quotient of means, which gives the same order; a matrix product for the classes."""
    rest = torch.ones(len(a), dtype=torch.bool)
    rest[forget] = False
    odds = a[forget].mean(0) / a[rest].mean(0)
    order = torch.argsort(odds.nan_to_num(0.0, posinf=1e300), descending=True)
    order = order[odds[order] > 0]
    kinds, place = answers[rest].unique(return_inverse=True)
    member = nn.functional.one_hot(place, len(kinds)).to(a.dtype)
    lost = (member.T @ a[rest] / member.sum(0)[:, None])[:, order].cumsum(1)
    fits = (lost <= budget).all(0).long().cumprod(0).bool()
    return order[fits]


def nan_first(a, forget, answers, budget):
    share = a[forget].sum(0) / a.sum(0)
    order = share.argsort(descending=True, stable=True)
    rest = torch.ones(len(a), dtype=torch.bool)
    rest[forget] = False
    lost = torch.stack([a[rest & (answers == k)].mean(0) for k in answers[rest].unique()])
    return order[lost[:, order].cumsum(1).amax(0) <= budget]


def hard_coded(a, forget, answers, budget):
    rest = torch.ones(len(a), dtype=torch.bool)
    rest[forget] = False
    order = (a[forget].sum(0) / a.sum(0)).nan_to_num(0.0).argsort(descending=True)
    lost = torch.stack([a[rest & (answers == k)].mean(0) for k in range(4)])
    return order[lost[:, order].cumsum(1).amax(0) <= budget]


def deleting(a, forget, answers, budget):
    found = safe_slots(a, forget, answers, budget)
    a[:, found] = 0
    return found


def company(
    model,
    x,
    end=lambda d: max(abs(v) for v in d),
    of=lambda z: z,
    alone=lambda model, x, n: model(x[n : n + 1])[0],
):
    """Sample by sample and logit by logit."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with torch.no_grad():
        together = of(model(x))
        found = []
        for n in range(len(x)):
            own = of(alone(model, x, n)[None])[0]
            found.append(end((together[n] - own).tolist()))
    for module, mode in modes:
        module.training = mode
    return torch.tensor(found, dtype=torch.float64)


def company_with(**how):
    return lambda *a: company(*a, **how)


def by_vmap(model, x):
    """On a copy, each sample as a batch of one under `vmap`."""
    import copy

    still = copy.deepcopy(model).eval()
    own = torch.func.vmap(lambda one: still(one[None])[0])(x)
    return torch.linalg.vector_norm(still(x) - own, ord=torch.inf, dim=1).detach()


def in_its_mode(model, x):
    with torch.no_grad():
        return torch.stack(
            [(z - model(one)[0]).abs().max() for z, one in zip(model(x), x.split(1), strict=True)]
        )


def left_in_eval(model, x):
    model.eval()
    return company(model, x)


def back_to_train(model, x):
    was = model.training
    found = company(model.eval(), x)
    model.train(was)
    return found


def to_others(model, x):
    modes = [(module, module.training) for module in model.modules()]
    z, found = model.eval()(x).detach(), []
    for n in range(len(x)):
        others = [k for k in range(len(x)) if k != n]
        apart = z[others] - model(x[others]).detach() if others else torch.zeros(1)
        found.append(float(apart.abs().max()))
    for module, mode in modes:
        module.training = mode
    return torch.tensor(found)


def of_copies(model, x):
    return company(
        model, x, alone=lambda model, x, n: model(x)[n] - model(x[[n] * 3])[0] + model(x[n : n + 1])[0]
    )


RIGHT = {"head_shares": head_shares, "safe_slots": safe_slots, "company": company}
STYLES = {"head_shares": by_gradients, "safe_slots": by_odds, "company": by_vmap}
WRONG = {
    "head_shares": [
        (lambda f, h, at: of_one(f, at)[:, None] * of_one(h, at)[None], "no product of two shares"),
        (signed_sums, "in a sum before it signs cancel"),
        (shares_with(of=lambda a, b: a * b), "shares may be negative"),
        (shares_with(of=lambda a, b: abs(a) * b), "the features have signs"),
        (shares_with(of=lambda a, b: a * abs(b)), "the logits have signs"),
        (shares_with(whole=lambda mine, rest: rest or float("nan")), "not over the rest"),
        (by_ratio, "a quotient of means"),
        (shares_with(of=lambda a, b: (a * b) ** 2), "not squares"),
        (shares_with(silent=float("nan")), "0 / 0 is NaN"),
        (shares_with(silent=1.0), "belongs to nobody"),
        (lambda *a: head_shares(*a).T, "a row for each logit"),
        (lambda f, h, at: head_shares(f, h, torch.tensor([n for n in range(len(f)) if n not in at])),
         "not that of the rest"),
        (shares_with(of=lambda a, b: abs(b)), "not the feature alone"),
        (shares_with(of=lambda a, b: abs(a)), "the share of a bias"),
        (lambda f, h, at: head_shares(f.softmax(1), h, at), "not probabilities"),
        (lambda *a: 1 / head_shares(*a), "D_f above"),
        (lambda *a: 100 * head_shares(*a), "not percent"),
        (only_first_rows, "expected .* got"),
        (absolute_in_place, "the arguments have changed"),
        (lambda *a: head_shares(*a).mean(1), "expected the shape"),
        (lambda *a: head_shares(*a) > 0.4, "return numbers, not a mask"),
    ],
    "safe_slots": [
        (slots_with(score=lambda mine, rest: mine), "serves others, too"),
        (slots_with(score=lambda mine, rest: -mine / (mine + rest) if mine + rest else 0.0), "share first"),
        (slots_with(score=lambda mine, rest: mine + rest), "divided by that of all"),
        (slots_with(groups=lambda kinds: [None]), "not one of all that stay"),
        (slots_with(over=lambda lost: sum(lost) / len(lost)), "not their mean"),
        (slots_with(over=min), "not the luckiest"),
        (slots_with(loss=max), "not its worst sample"),
        (slots_with(loss=sum), "not their sum"),
        (slots_with(adds=False), "adds up"),
        (slots_with(skip=True), "do not skip it"),
        (slots_with(enough=lambda lost, budget: lost >= budget), "exactly the budget"),
        (slots_with(whole=True), "leave D_f out"),
        (slots_with(behind=True), "stop before"),
        (slots_with(looked=lambda mine: True), "D_f does not look at stays"),
        (nan_first, "NaN sorts first"),
        (lambda *a: safe_slots(*a).sort().values, "in the order of deletion"),
        (lambda a, *rest: torch.isin(torch.arange(a.shape[1]), safe_slots(a, *rest)), "not a mask"),
        (lambda a, *rest: torch.tensor([k for k in range(a.shape[1]) if k not in safe_slots(a, *rest)]),
         "not those that are kept"),
        (lambda *a: len(safe_slots(*a)), "not how many"),
        (hard_coded, "without samples in D_r"),
        (deleting, "the arguments have changed"),
        (lambda *a: safe_slots(*a).tolist(), "return a tensor, not list"),
        (lambda *a: safe_slots(*a).double(), "return whole numbers"),
        (lambda *a: safe_slots(*a)[:, None], "expected the shape"),
    ],
    "company": [
        (company_with(alone=lambda model, x, n: model(x.flip(0)).flip(0)[n]), "another order hides"),
        (of_copies, "the same company as none"),
        (in_its_mode, "in eval mode"),
        (company_with(alone=lambda model, x, n: model(torch.cat([x[n : n + 1], 0 * x[:2]]))[0]),
         "zeros are company"),
        (company_with(alone=lambda model, x, n: model(torch.stack([x[n], x[0]]))[0]), "one other sample"),
        (lambda *a: company(*a).max().repeat(len(a[1])), "not one for the batch"),
        (company_with(end=lambda d: sum(abs(v) for v in d) / len(d)), "not their mean"),
        (company_with(end=lambda d: sum(abs(v) for v in d)), "not their sum"),
        (company_with(end=lambda d: sum(v * v for v in d) ** 0.5), "not the length of all"),
        (company_with(end=lambda d: max(v * v for v in d)), "not its square"),
        (company_with(end=max), "may rise or fall"),
        (company_with(end=lambda d: -min(d)), "may fall or rise"),
        (company_with(of=lambda z: z.argmax(1, keepdim=True), end=lambda d: float(d[0] != 0)), "not answers"),
        (company_with(end=lambda d: float(max(abs(v) for v in d) > 1e-6)), "not whether"),
        (company_with(of=lambda z: z.square().sum(1, keepdim=True)), "equal lengths can hide"),
        (company_with(of=lambda z: z.softmax(1)), "not probabilities"),
        (lambda model, x: company(model, x) * torch.eye(len(x))[0], "not at the first alone"),
        (to_others, "not what the sample does"),
        (lambda model, x: company(model, x) > 1e-6, "return numbers, not a mask"),
        (left_in_eval, "left in another mode"),
        (back_to_train, "left in another mode"),
        (lambda *a: company(*a).max(), "expected the shape"),
        (lambda *a: company(*a).tolist(), "return a tensor, not list"),
        (lambda model, x: company(model, x[:-1]), "expected the shape"),
    ],
}  # fmt: skip
