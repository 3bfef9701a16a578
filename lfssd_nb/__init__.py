"""Loss-Free Selective Synaptic Dampening (arXiv 2402.19308): the package behind the notebooks.

The public names, wing by wing (`from lfssd_nb import data, networks, unlearn, audit`):

`unlearn` lfssd, ssd, check, default_alpha, Unlearned · `agreement` choose, chosen, Agreement ·
`importance` sensitivity, fisher, estimate, explain, empty, Importance · `dampening` dampen, factor,
selected · `data` load, Dataset, Scenario, Augmentation, NAMES, data_root, scenarios · `networks`
trained, fit, retrained, build, logits, Architecture, NETWORKS, network, Recipe, default_recipe,
training, gold, checkpoints · `baselines` METHODS, method, get, make, Task, Memory, NEEDS, Method,
descend · `audit` accuracy, accuracies, accuracy_per_class, outputs, percent_correct,
entropy_attack, entropy, battery, yardstick, features, probe_auroc, graft, norm_parameters,
refresh_norm_statistics, interval, jackknife, mean_and_interval, paired_differences, attacks,
divergence, klom, lira, panel, relearn, representation, residual · `sweeps` Dial, grid, exam,
correct, fitting, front, search, damage_and_rest · `figures` headline, images, strips, per_class,
layer_shares, method, use_style, STYLES, LABELS, MARKERS, portraits · `explorer` explore, picture,
Explorer, Board, Trial, Reading · `lab` compare, over_seeds, forget, evaluate, Comparison, Case, Run, Sweep,
run, load, read, labelled, audits, cases, records, sweep_cases, tuning, read_records, jobs,
multiprocess · `paper` published, sizes, plan, throughput, reproduce · `course` page, claims,
checks
"""

__version__ = "0.1.0"
