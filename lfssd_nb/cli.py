"""The command line: ``lfssd-nb forget`` trains, forgets, retrains and reports as JSON.

What is typed is refused before any work, in one line and with exit code 2. Ctrl-C and SIGTERM end with one
line, too, and with 130 and 143; started again it goes on with what was kept.

Under ``torchrun --nproc_per_node=2 -m lfssd_nb.cli forget ...`` the processes share the work of the
importances; rank 0 trains, and alone prints or writes the result.
"""

import argparse
import json
import sys
import traceback
import warnings

from . import __version__, agreement, baselines, data, unlearn
from .data import scenarios
from .lab import commands, multiprocess
from .lab.requests import CPU_EPOCHS, TARGETS
from .networks.architecture import NETWORKS
from .paper import published, reproduce
from .paper.sizes import PROFILES
from .system import files, interrupts, places
from .system.typed import Once, Parser, number, number_or, one_of, whole

SCALES = unlearn.DEFAULT_SCALE.items()
STAGES = [stage.name for stage in (*published.STAGES, *published.EXTRA)]
VIT_SIZES = NETWORKS["vit"].sizes
EXPECTED = (ValueError, OSError, ImportError, ArithmeticError, multiprocess.RankFailed)


def parser() -> Parser:
    main = Parser(
        prog="lfssd-nb",
        description="Machine unlearning without labels, loss or retraining (LFSSD, arXiv 2402.19308).",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    main.add_argument("--version", action="version", version=__version__)
    subcommands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    p = _command(
        subcommands, "forget", "train (or load) a model, forget, retrain a gold model, report all three"
    )
    _setting_options(p)
    p.add_argument(
        "--method",
        default="lfssd",
        help=f"one of {', '.join(baselines.METHODS)}, or module:function of yours",
    )
    p.add_argument(
        "--option", action="append", metavar="NAME=VALUE", help="a setting of another method, say epochs=3"
    )
    p.add_argument(
        "--alpha", type=number_or(agreement.NAME),
        help="selection: weights with I_f > alpha * I_D, or 'agreement', which chooses it for this network "
        "and request (default, per sample, as in all comparisons, a constant: "
        + "; ".join(f"{name}: {net} * N / N_f, {vit} on a vit" for name, (net, vit) in SCALES)
        + ")",
    )  # fmt: skip
    p.add_argument("--lam", type=number, default=1.0, help="dampening: factor min(lam * I_D / I_f, 1)")
    p.add_argument(
        "--reduction",
        default="sample",
        help="importance per 'sample' (papers) or 'batch' mean (their code)",
    )
    p.add_argument(
        "--batch-size", type=whole(1), help="batch of the importance (default 128; 64 with --reduction batch)"
    )
    p.add_argument("--seed", type=whole(0), default=0, help="of training; for random, of the forget set too")
    p.add_argument("--no-gold", action="store_true", help="skip the retrained model")
    p.add_argument("--json", metavar="OUT", help="write the result here instead of to standard output")
    _compare_options(subcommands)
    _reproduce_options(subcommands)
    main.epilog = p.format_help().replace("usage: ", "lfssd-nb forget\n\nusage: ", 1)
    return main


def _command(subcommands, name: str, what: str) -> argparse.ArgumentParser:
    """A new command whose help shows the defaults."""
    p = subcommands.add_parser(name, help=what, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--debug", action="store_true", help="show where in the code an error arose")
    return p


def _setting_options(p: argparse.ArgumentParser) -> None:
    """What is trained on what, and what is to be forgotten."""
    p.add_argument(
        "--data", default="digits",
        help=f"{', '.join(data.NAMES)}; folder:PATH (images by class); module:function that makes a Dataset",
    )  # fmt: skip
    p.add_argument("--data-root", help="folder of the .npz files (default: $LFSSD_DATA, else in ~/.cache)")
    p.add_argument("--subset", type=whole(1), help="train on a stratified sample of this many samples")
    p.add_argument(
        "--scenario", type=one_of("scenario", scenarios.KINDS), default="class",
        help=f"one of {', '.join(scenarios.KINDS)}",
    )  # fmt: skip
    p.add_argument(
        "--target",
        help="class, sub-class or group, by number or name; classes: 3+8; index: positions in D, 0+7; "
        "random: how many samples (default: "
        + ", ".join(f"{target} for {kind}" for kind, target in TARGETS.items()) + ")",
    )  # fmt: skip
    p.add_argument("--arch", help=f"network: {', '.join(NETWORKS)} (default: what suits the data)")
    p.add_argument("--model", metavar="MODULE:FUNCTION", help="a function of yours that builds a network")
    p.add_argument(
        "--width", type=whole(1), help="channels of ResNet18's first stage (default 16; 64: papers)"
    )
    p.add_argument(
        "--vit-size", type=one_of("ViT size", VIT_SIZES),
        help="micro, tiny, small or vit_b_16 (ImageNet weights; default: by image size)",
    )  # fmt: skip
    p.add_argument(
        "--epochs",
        type=whole(1),
        help=f"training epochs (default: the recipe's; {CPU_EPOCHS} for colour images on a CPU)",
    )
    p.add_argument("--device", help="cpu, cuda or mps (default: the best there is)")


def _compare_options(subcommands) -> None:
    p = _command(
        subcommands,
        "compare",
        "methods in one table, beside the original and a gold model, with intervals over seeds",
    )
    _setting_options(p)
    p.add_argument(
        "--methods", nargs="+", action=Once, default=["all"], metavar="METHOD",
        help="names, module:function of yours, or all that fit the data and the scenario",
    )  # fmt: skip
    p.add_argument("--seeds", nargs="+", action=Once, type=whole(0), default=[0, 1, 2], help="training seeds")
    p.add_argument("--seed", type=whole(0), default=0, help="of a random forget set and of --subset")
    p.add_argument("--csv", metavar="OUT", help="write means and intervals here too")


def _reproduce_options(subcommands) -> None:
    p = _command(
        subcommands,
        "reproduce",
        "the published experiments on CIFAR and faces: a plan, then records; resumable",
    )
    p.add_argument(
        "--profile", type=one_of("profile", PROFILES), default="paper", help=f"scale: {', '.join(PROFILES)}"
    )
    p.add_argument(
        "--stages", nargs="+", action=Once, type=one_of("stage", STAGES), metavar="STAGE",
        help=f"only these of {', '.join(STAGES)}",
    )  # fmt: skip
    p.add_argument(
        "--methods", nargs="+", action=Once, type=one_of("method", baselines.METHODS), metavar="METHOD",
        help="only these (nothing, retrain, lfssd, ...)",
    )  # fmt: skip
    p.add_argument("--seeds", nargs="+", action=Once, type=whole(0), help="at least two (default: 0 1 2)")
    p.add_argument("--targets", type=whole(1), help="how many of each stage's targets")
    p.add_argument("--images", type=whole(1), help="train on a stratified sample of so many CIFAR images")
    p.add_argument("--epochs", type=whole(1), help="of every training (default: the recipe's)")
    p.add_argument(
        "--vit", type=one_of("ViT size", VIT_SIZES),
        help="micro, tiny, small (from scratch) or vit_b_16 (ImageNet weights)",
    )  # fmt: skip
    p.add_argument("--device", help="cpu, cuda or mps (default: the best there is)")
    p.add_argument("--jobs", type=whole(1), help="processes (default: all cores on a CPU, else 1)")
    p.add_argument("--out", help="folder of the records (default: build/reproduce/PROFILE)")
    p.add_argument("--share", help="write half-precision checkpoints of the original models to this folder")
    p.add_argument("--plan", action="store_true", help="print the plan and stop")
    p.add_argument("--retry", action="store_true", help="try records again that ended in an error")


def main(argv: list[str] | None = None) -> int:
    """Runs the command line; returns 0, 2 after printing what is wrong, or 130 or 143 when interrupted."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        with interrupts.terminated_as_interrupted():
            _run(parser().parse_args(argv))
    except KeyboardInterrupt as stop:
        if not multiprocess.ranks()[0]:
            print(interrupts.SAID, file=sys.stderr)
        return interrupts.exit_code(stop)
    except Exception as error:
        if "--debug" in argv:
            traceback.print_exc()
        print(f"lfssd-nb: error: {_one_line(error)}", file=sys.stderr)
        return 2
    return 0


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).splitlines())
    return text if text and isinstance(error, EXPECTED) else f"{type(error).__name__}: {text} (see --debug)"


def _run(args: argparse.Namespace) -> None:
    if args.command == "reproduce":
        reproduce.main(args)
        return
    with multiprocess.process_group() as rank:
        if rank:
            warnings.simplefilter("ignore")  # rank 0 says the same
        (_compare if args.command == "compare" else _forget)(args, rank)


def _forget(args: argparse.Namespace, rank: int) -> None:
    if args.json is not None and not rank:
        places.check_file(args.json, "--json")
    text = json.dumps(commands.forget(args), indent=2) + "\n"
    if rank:
        return
    if args.json is None:
        print(text, end="", flush=True)
    else:
        files.write(args.json, text.encode())
        print(f"written to {args.json}", file=sys.stderr)


def _compare(args: argparse.Namespace, rank: int) -> None:
    if args.csv is not None:
        places.check_file(args.csv, "--csv")
    found = commands.compare(args)
    print(commands.wide(found).to_string())
    print(f"mean ± half of the 95 % interval over {len(args.seeds)} training seed(s); accuracies in percent")
    if args.csv is not None:
        files.write(args.csv, found.round(4).to_csv(index=False).encode())


if __name__ == "__main__":
    sys.exit(main())
