"""Answers to the exercises of page A1."""

import copy

import torch


def accuracies(hits, at):
    return [100 * sum(bool(row[k]) for k in at) / len(at) for row in hits]


def rest(hits, study):
    return [k for k in range(hits.shape[1]) if k not in study.tolist()]


def report(by=lambda hits, study: study.tolist(), on=rest, best=lambda values: values.index(max(values)),
           told=lambda values, k: values[k]):  # fmt: skip
    def reported(hits, study):
        k = best(accuracies(hits, by(hits, study)))
        return k, told(accuracies(hits, on(hits, study)), k)

    return reported


def everything(hits, study):
    return range(hits.shape[1])


def studied(hits, study):
    return study.tolist()


def in_eval(model, x, size, after=torch.cat):
    model = copy.deepcopy(model).eval()
    return after([model(part) for part in x.split(size)])


def as_it_comes(model, x, size):
    return torch.cat([model(part) for part in x.split(size)])


def left_in_eval(model, x, size):
    model.eval()
    return as_it_comes(model, x, size)


def back_to_train(model, x, size):
    mode = model.training
    model.eval()
    found = as_it_comes(model, x, size)
    model.train(mode)
    return found


def put_back(model, x, size):
    modes = {module: module.training for module in model.modules()}
    model.eval()
    found = as_it_comes(model, x, size)
    for module, mode in modes.items():
        module.training = mode
    return found


def outermost(model, x, size):
    mode, model.training = model.training, False
    found = as_it_comes(model, x, size)
    model.training = mode
    return found


def reset(model, x, size):
    model = copy.deepcopy(model)
    model[1].running_mean[:], model[1].running_var[:] = 0, 1
    return in_eval(model, x, size)


def hits(loader):
    return [(z.argmax(1) == y).tolist() for z, y in loader]


def pooled(found):
    return 100 * sum(map(sum, found)) / sum(map(len, found))


def full_batches(loader):
    found = hits(loader)
    return pooled([h for h in found if len(h) == len(found[0])])


def twice(loader):
    answers, labels = torch.cat([z.argmax(1) for z, _ in loader]), torch.cat([y for _, y in loader])
    return 100 * (answers == labels).double().mean().item()


def sorted_alike(loader):
    batches = list(loader)
    answers, labels = torch.cat([z.argmax(1) for z, _ in batches]), torch.cat([y for _, y in batches])
    return 100 * sum(min(int((answers == k).sum()), int((labels == k).sum())) for k in range(4)) / len(labels)


RIGHT = {"reported": report(), "undisturbed": put_back, "one_pass": lambda loader: pooled(hits(loader))}
WRONG = {
    "reported": [
        (report(everything, everything), "must not report on it"),
        (report(studied, studied), "partly luck"),
        (report(studied, everything), "still holds the images"),
        (report(everything, rest), "took part in the choice"),
        (report(rest, rest), "on the very images of the report"),
        (report(rest, studied), "`study` is to choose by"),
        (report(told=lambda values, k: max(values)), "not the largest of all"),
        (report(told=lambda values, k: sum(values) / len(values)), "not the mean of all"),
        (report(best=lambda values: values.index(min(values))), "not the worst"),
        (report(told=lambda values, k: values[k] / 100), "in percent"),
        (report(told=lambda values, k: 100 - values[k]), "not the wrong ones"),
        (report(best=lambda values: len(values) - 1 - values[::-1].index(max(values))), "the first"),
        (lambda h, s: report()(h, s)[::-1], "first the setting"),
        (lambda h, s: report()(h, s)[1], "return 2 things"),
        (report(told=lambda values, k: values[0]), "number 2 of what you return"),
    ],
    "undisturbed": [
        (as_it_comes, "mixes the images"),
        (lambda m, x, size: m(x), "still a batch"),
        (outermost, "mixes the images"),
        (left_in_eval, "left in another mode"),
        (back_to_train, "frozen batch norm.*left in another mode"),
        (lambda m, x, size: in_eval(m, x[: max(len(x) // size, 1) * size], size), "last, smaller batch"),
        (lambda m, x, size: in_eval(m, x[:size], size), "not the first alone"),
        (reset, "must not be reset"),
        (lambda *g: in_eval(*g).softmax(1), "not probabilities"),
        (lambda *g: in_eval(*g).log_softmax(1), "not the logarithms"),
        (lambda *g: in_eval(*g).argmax(1), "not answers"),
        (lambda *g: in_eval(*g).mean(0), "not a mean over"),
        (lambda *g: in_eval(*g, after=list), "return a tensor, not list"),
        (lambda m, x, size: in_eval(m, x.flip(0), size), "order of the images"),
        (lambda *g: 2 * in_eval(*g), "expected .* got"),
    ],
    "one_pass": [
        (twice, "in one pass"),
        (lambda loader: sum(100 * sum(h) / len(h) for h in hits(loader)) / len(loader), "divide once"),
        (full_batches, "last, smaller batch"),
        (lambda loader: pooled(hits(loader)[:1]), "not the first alone"),
        (lambda loader: pooled(hits(loader)[-1:]), "not the last alone"),
        (lambda loader: 100 * sum(map(sum, found := hits(loader))) / len(found) / len(found[0]),
         "times the size of the first"),
        (lambda loader: 100 * sum(map(sum, hits(loader))) / len(loader), "not by the batches"),
        (lambda loader: pooled(hits(loader)) / 100, "in percent"),
        (lambda loader: sum(map(sum, hits(loader))), "not the number of right"),
        (lambda loader: 100 - pooled(hits(loader)), "not the wrong ones"),
        (lambda loader: pooled([(z.argmin(1) == y).tolist() for z, y in loader]), "not the smallest"),
        (sorted_alike, "by counts alone"),
        (lambda loader: round(pooled(hits(loader)), 0), "expected .* got"),
        (lambda loader: torch.tensor(hits(loader)[0]).double(), "return one number"),
    ],
}  # fmt: skip
