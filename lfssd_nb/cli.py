"""The command line: ``lfssd-nb forget`` trains, forgets, retrains and reports as JSON.

Under ``torchrun --nproc_per_node=2 -m lfssd_nb.cli forget ...`` the processes share the work of the
importances; rank 0 trains, and alone prints or writes the result.
"""

import argparse
import json
import math
import sys
import warnings
from dataclasses import asdict

from . import __version__, data, distributed, models, reproduce, scenarios, stages, store, unlearn
from .experiment import compare
from .models import Architecture
from .training import default_recipe

SCALES = unlearn.DEFAULT_SCALE.items()
TARGETS = {"class": "3", "subclass": "8", "random": "30"}
CPU_EPOCHS = 2  # colour images on a CPU: a demonstration in minutes, not a good classifier


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="lfssd-nb",
        description="Machine unlearning without labels, loss or retraining (LFSSD, arXiv 2402.19308).",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    main.add_argument("--version", action="version", version=__version__)
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    p = commands.add_parser(
        "forget",
        help="train (or load) a model, forget, retrain a gold model, report all three",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    p.add_argument("--data", default="digits", help=f"data set: {', '.join(data.NAMES)}")
    p.add_argument("--data-root", help="folder of the .npz files (default: $LFSSD_DATA, else ~/.cache)")
    p.add_argument("--subset", type=int, help="train on a stratified sample of this many images")
    p.add_argument("--scenario", default="class", help=f"one of {', '.join(scenarios.KINDS)}")
    p.add_argument(
        "--target",
        help="class or sub-class, by number or name; for random: how many samples (default: "
        + ", ".join(f"{target} for {kind}" for kind, target in TARGETS.items()) + ")",
    )  # fmt: skip
    p.add_argument("--arch", default="resnet18", help=f"network: {', '.join(models.NAMES)}")
    p.add_argument("--width", type=int, default=16, help="channels of ResNet18's first stage (64: papers)")
    p.add_argument(
        "--vit-size", help="micro, tiny, small or vit_b_16 (ImageNet weights; default: by image size)"
    )
    p.add_argument(
        "--epochs",
        type=int,
        help=f"training epochs (default: the recipe's; {CPU_EPOCHS} for colour images on a CPU)",
    )
    p.add_argument("--method", default="lfssd", help=f"one of {', '.join(unlearn.METHODS)}")
    p.add_argument(
        "--alpha", type=float,
        help="selection: weights with I_f > alpha * I_D (default, per sample: "
        + "; ".join(f"{name}: {net} * N / N_f, {vit} on a vit" for name, (net, vit) in SCALES)
        + ")",
    )  # fmt: skip
    p.add_argument("--lam", type=float, default=1.0, help="dampening: factor min(lam * I_D / I_f, 1)")
    p.add_argument(
        "--reduction",
        default="sample",
        help="importance per 'sample' (papers) or 'batch' mean (their code)",
    )
    p.add_argument(
        "--batch-size", type=int, help="batch of the importance (default 128; 64 with --reduction batch)"
    )
    p.add_argument("--seed", type=int, default=0, help="seed of training; for random, of the forget set too")
    p.add_argument("--no-gold", action="store_true", help="skip the retrained model")
    p.add_argument("--device", help="cpu, cuda or mps (default: the best there is)")
    p.add_argument("--json", metavar="OUT", help="write the result here instead of to standard output")
    _reproduce_options(commands)
    main.epilog = p.format_help().replace("usage: ", "lfssd-nb forget\n\nusage: ", 1)
    return main


def _reproduce_options(commands) -> None:
    p = commands.add_parser(
        "reproduce",
        help="the published experiments on CIFAR and faces: a plan, then records; resumable",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    p.add_argument("--profile", default="paper", help=f"scale: {', '.join(stages.PROFILES)}")
    names = ", ".join(stage.name for stage in stages.STAGES)
    p.add_argument("--stages", nargs="+", metavar="STAGE", help=f"only these of {names}")
    p.add_argument("--methods", nargs="+", metavar="METHOD", help="only these (nothing, retrain, lfssd, ...)")
    p.add_argument("--seeds", nargs="+", type=int, help="training seeds, at least two (default: 0 1 2)")
    p.add_argument("--targets", type=int, help="how many of each stage's targets")
    p.add_argument("--images", type=int, help="train on a stratified sample of so many CIFAR images")
    p.add_argument("--epochs", type=int, help="of every training (default: the recipe's)")
    p.add_argument("--vit", help="micro, tiny, small (from scratch) or vit_b_16 (ImageNet weights)")
    p.add_argument("--device", help="cpu, cuda or mps (default: the best there is)")
    p.add_argument("--jobs", type=int, help="processes (default: all cores on a CPU, else 1)")
    p.add_argument("--out", help="folder of the records (default: build/reproduce/PROFILE)")
    p.add_argument("--share", help="write half-precision checkpoints of the original models to this folder")
    p.add_argument("--plan", action="store_true", help="print the plan and stop")


def main(argv: list[str] | None = None) -> int:
    """Runs the command line; returns 0, or 2 after printing what is wrong with the input."""
    args = parser().parse_args(argv)
    try:
        if args.command == "reproduce":
            reproduce.main(args)
            return 0
        with distributed.process_group() as rank:
            if rank:
                warnings.simplefilter("ignore")  # rank 0 says the same
            result = forget(args)
            text = json.dumps(result, indent=2) + "\n"
            if rank:
                pass
            elif args.json:
                store.write(args.json, text.encode())
                print(f"written to {args.json}", file=sys.stderr)
            else:
                print(text, end="")
    except (ValueError, OSError, ArithmeticError, distributed.RankFailed) as error:
        print(f"lfssd-nb: error: {error}", file=sys.stderr)
        return 2
    return 0


def forget(args: argparse.Namespace) -> dict:
    """The ``forget`` command: original, unlearned and gold model, measured; see the README."""
    batch_size = 64 if args.batch_size is None and args.reduction == "batch" else args.batch_size
    options = dict(alpha=args.alpha, lam=args.lam, reduction=args.reduction, batch_size=batch_size)
    unlearn.check(args.method, **options)
    architecture = Architecture(args.arch, args.width, args.vit_size)
    rank, processes = distributed.ranks()
    loaded = distributed.first_on_rank_0(lambda: data.load(args.data, args.data_root, args.device))
    if args.subset is not None:
        loaded = loaded.subset(args.subset, args.seed)
    if args.scenario == "subclass" and loaded.train_sub is None:
        loaded = loaded.coarsen()
    target = TARGETS.get(args.scenario) if args.target is None else args.target
    scenario = scenarios.make(loaded, args.scenario, target, args.seed)
    epochs = args.epochs
    if epochs is None and loaded.device.type == "cpu" and loaded.channels == 3:
        epochs = CPU_EPOCHS
        if rank == 0:
            print(f"training for {epochs} epochs because this is a CPU; --epochs changes it", file=sys.stderr)
    recipe = default_recipe(loaded, architecture, epochs)
    methods, gold, share = {args.method: options}, not args.no_gold, processes > 1
    done = compare(loaded, scenario, architecture, methods, args.seed, recipe, gold, share)
    unlearned = done.unlearned[args.method]
    measured = {
        name.replace(args.method, "unlearned"): {
            k: None if math.isnan(v) else round(v, 4) for k, v in row.items()
        }
        for name, row in done.table.to_dict("index").items()
    }
    return measured | {
        "seconds": {k.replace(args.method, "unlearn"): v for k, v in done.seconds.items()},
        "selected_share": unlearned.selected_share,
        "largest_ratio": round(unlearned.largest_ratio, 4),
        "settings": dict(
            data=loaded.name, source=loaded.source, scenario=scenario.kind, target=scenario.target,
            n_forget=len(scenario.forget), n_train=len(loaded.train_y), architecture=asdict(architecture),
            recipe=asdict(recipe), method=args.method, alpha=unlearned.alpha, lam=args.lam,
            alpha_ceiling=scenario.ceiling, reduction=args.reduction, batch_size=batch_size,
            seed=args.seed, device=str(loaded.device), version=__version__,
        ),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
