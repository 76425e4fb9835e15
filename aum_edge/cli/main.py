"""The command line: one table of commands, each loaded only when it is called."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
import traceback
from importlib import import_module

from aum_edge import __version__
from aum_edge.core.signals import Stops, stoppable
from aum_edge.core.text import one_line
from aum_edge.errors import AumEdgeError, Stopped

COMMANDS = {
    "run": "all stages of a recipe, from audio to report",
    "train": "a recipe up to its trained teacher, or a model directory fine-tuned on data",
    "pretrain": "an encoder from audio without labels, by masked patches",
    "distill": "a recipe up to its distilled student, or one model from others on data",
    "prune": "a recipe up to its pruned student, or a model directory made smaller",
    "compare": "arms, folds and seeds: is a Mamba better than a CNN on these data?",
    "search": "models of the student family under a budget, with a Pareto front",
    "quantize": "a recipe up to its int8 student, or a model directory to int8 weights",
    "convert": "a published checkpoint (AuM, SSAMBA, Vim, ...) to a model directory",
    "complexity": "MACs, bytes and the verdict of a model or an ONNX file",
    "export": "a model directory to a verified file that runs elsewhere",
    "bench": "latency of models side by side",
    "eval": "accuracy of a model on a corpus",
    "predict": "labels of audio files",
    "submit": "a challenge submission: package, outputs, meta file, checks",
    "data": "check, describe or prepare a corpus",
    "doctor": "what this machine has and what aum-edge will use",
}


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code, one of those that the help lists."""
    arguments = sys.argv[1:] if argv is None else argv
    _yield_idle_threads()
    parser = _parser()
    name = next((word for word in arguments if not word.startswith("-")), None)
    if name not in COMMANDS:
        parser.parse_args(arguments)
        parser.print_help()
        return 2
    command = import_module(f"aum_edge.cli.{_module(name)}")
    sub = argparse.ArgumentParser(prog=f"aum-edge {name}", description=COMMANDS[name])
    sub.add_argument("--debug", action="store_true", help="show tracebacks and debug messages")
    command.add_arguments(sub)
    rest = list(arguments)
    rest.remove(name)
    options = sub.parse_args(rest)
    options.command = name
    _log_to_stderr(options.debug)
    with stoppable() as stops:
        return _guarded(command.run, options, stops)


def _yield_idle_threads() -> None:
    """Let OpenMP's threads sleep soon after their work, unless the user has set how they wait.

    GNU's runtime has them spin while they wait, which takes the cores that other programs need: an
    epoch of 6 s took 38 s beside two busy loops, and 16 s with this; alone it takes as long as
    before. The runtime reads the variable when torch is imported, which no command has done yet.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = "3000"


def _guarded(run: object, options: argparse.Namespace, stops: Stops) -> int:
    try:
        return int(run(options))  # type: ignore[operator]
    except KeyboardInterrupt as stop:
        return _stopped(stop if isinstance(stop, Stopped) else Stopped())
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if options.debug:
            traceback.print_exc()
        if stops.asked:
            # A library, or a child that got the signal too, made an error of it.
            return _stopped(stops.asked)
        print(f"aum-edge: {_line(error)}", file=sys.stderr)
        return error.exit_code if isinstance(error, AumEdgeError) else 1


def _stopped(stop: Stopped) -> int:
    print(stop, file=sys.stderr)
    return stop.exit_code


def _line(error: Exception) -> str:
    """An error as one line."""
    if isinstance(error, AumEdgeError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk is full ({error.filename or 'while writing'}). Free some space and run the "
            "same command again; finished work is kept."
        )
    if isinstance(error, OSError) and error.filename:
        return f"Cannot use {error.filename}: {error.strerror}."
    return (
        f"Unexpected {type(error).__name__}: {one_line(error)}. Run with --debug for the traceback."
    )


def _module(name: str) -> str:
    return {"eval": "evaluate"}.get(name, name)


def _parser() -> argparse.ArgumentParser:
    lines = "\n".join(f"  {name:<11} {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="aum-edge",
        usage="aum-edge COMMAND ... (aum-edge COMMAND --help says more)",
        description="From an Audio Mamba teacher to a small Mamba student inside an edge budget.",
        epilog=f"commands:\n{lines}\n\nexit codes: 0 ok, 1 error, 2 usage or bad recipe, "
        "3 over a limit, 4 parity failed,\n130 stopped by Ctrl-C, 143 stopped by SIGTERM",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"aum-edge {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="see below")
    return parser


def _log_to_stderr(debug: bool) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if debug else logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        force=True,
    )
    for noisy in ("matplotlib", "fsspec", "torch", "onnxscript", "onnx_ir", "httpx", "nncf"):
        logging.getLogger(noisy).setLevel(logging.WARNING if debug else logging.ERROR)
