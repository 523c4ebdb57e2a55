"""``diffir COMMAND ...``: runs a command, and turns errors into one line and an exit code.

Only the module of the chosen command is imported, and heavy packages only inside its ``run``, so ``--help`` is fast.
Exit codes: 0 done, 1 something failed, 2 wrong usage, 130 interrupted.
"""

import sys
from collections.abc import Sequence

from diffir.cli.early_interrupts import EXIT_INTERRUPTED, INTERRUPTED, quiet_interrupts

COMMANDS = {
    "restore": "restore photos with a trained network",
    "upscale": "restore, with a network that enlarges",
    "denoise": "restore, with the network that removes noise",
    "fleet": "restore very many photos on many machines, in folders or buckets",
    "suggest": "say what seems wrong with photos, and which network should help",
    "web": "open a page in the browser on which photos are dropped and restored",
    "train": "train a network, stage 1 then stage 2",
    "finetune": "train a network further for a kind of degradation, from clean photos and a recipe",
    "degrade": "show or save what a degradation recipe does to photos",
    "check-data": "look for faults in a dataset before training or measuring on it",
    "eval": "score a method on a benchmark",
    "score": "score a folder of restored images against its ground truth",
    "options": "list, show and copy the option files that ship",
    "models": "list the available networks",
    "convert": "turn a released checkpoint into a safetensors file",
    "export": "write a network as ONNX graphs",
    "push": "publish weights on the Hugging Face Hub, with a model card",
    "doctor": "say what this installation has, for an issue report",
    "completion": "print a script that completes commands and flags in a shell",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; without arguments, run that of the command line."""
    with quiet_interrupts(ends_process=argv is None):
        return _main(list(sys.argv[1:] if argv is None else argv))


def _main(arguments: list[str]) -> int:
    # Everything else is imported here, where Ctrl-C is handled.
    from diffir.cli.parser import make_parser, module_of, parse
    from diffir.cli.terminal import complain, flush_streams, log_to_stderr, open_streams
    from diffir.errors import DiffIRError, UsageError

    # Parse the arguments, and run the command.
    try:
        open_streams()
        log_to_stderr()
        parser = make_parser(COMMANDS, arguments)
        args = parse(parser, arguments)
        if args.command is None:
            parser.print_help()
            return 0
        from diffir.allocator import keep_freed_memory  # with ctypes, which no help needs

        keep_freed_memory()
        return module_of(args.command).run(args)

    # Report what went wrong in one line.
    except DiffIRError as error:
        complain(error)
        return 2 if isinstance(error, UsageError) else 1
    except OSError as error:  # for example a full disk, which no command expects
        complain(f"{error.filename}: {error.strerror}" if error.filename else " ".join(str(error).split()))
        return 1
    except KeyboardInterrupt:
        complain(INTERRUPTED)
        return EXIT_INTERRUPTED
    finally:
        flush_streams()
