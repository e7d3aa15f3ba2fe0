"""`isotone VERB ...`: finds the verb, turns errors into one message and an exit status.

Exit status: 0 done, 2 the user's input is at fault, 1 anything else. Help and version import nothing heavy.
"""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import TextIO

from isotone.errors import DataError, IsotoneError, nearest

VERBS = {
    "check": "look for every problem of a table in one pass, before anything is trained",
    "fit": "train a representation and a predictor on a table, judge them, write the report",
    "predict": "predict the target or class of new rows with a finished run",
    "embed": "write the representation of new rows",
    "evaluate": "score probes on a run's frozen representation: how much of the label it holds",
    "compare": "methods and heads beside each other: same splits, same compute, intervals, a verdict",
    "suspects": "rank training rows whose target disagrees with their neighbours: look there for wrong ones",
    "report": "write a run's report again, beside another run if you like",
    "resume": "go on with a run that was stopped or killed",
    "study": "many runs that answer one question, such as what wrong labels do",
    "datasets": "list the published data sets that can be read from their folders, with a card for each",
    "methods": "list the methods and what each needs",
    "demo": "handwritten digits turned by an angle: the main job in a minute, no data needed",
}
USAGE = """usage: isotone VERB ...   (isotone VERB --help tells more)

Learn representations from targets, from classes, from pairs or from unlabelled rows alone, and predict with them.

{verbs}

  isotone demo
  isotone fit labels.csv --target age --group person --out runs/a
  isotone fit labels.csv --category species --method supcon --out runs/b
  isotone fit images.csv --method simclr --out runs/c

--version prints the version, --debug adds the traceback to an error.
isotone never opens a network connection unless you ask for --pretrained weights; there is no telemetry."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        arguments: as typed after `isotone`; None takes the process's.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        return _dispatch(words)
    except IsotoneError as error:
        if debug:
            raise
        _say(f"isotone: {_told(error)}")
        return error.exit_code
    except KeyboardInterrupt:
        _say("isotone: stopped by Ctrl-C; a run that had started goes on with: isotone resume FOLDER")
        return 1
    except BrokenPipeError:  # `isotone check ... | head`
        sys.stderr.close()
        return 1
    except Exception as error:
        if debug:
            raise
        _say(f"isotone: unexpected {type(error).__name__}: {' '.join(str(error).split())[:300]}")
        _say("This is a fault of isotone or of your machine, not of your input. Add --debug for the traceback.")
        return 1


# ----------------------------------------------------------------------------------------------------------------------


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        verbs = "\n".join(f"  {verb:9} {text}" for verb, text in VERBS.items())
        sys.stdout.write(USAGE.format(verbs=verbs) + "\n")
        return 0
    if words[0] in ("--version", "-V", "version"):
        sys.stdout.write(f"isotone {version('isotone')}\n")
        return 0
    if words[0] not in VERBS:
        raise IsotoneError(f"there is no verb {words[0]!r}.{nearest(words[0], VERBS)} `isotone --help` lists them.")
    warnings.showwarning = _note
    return import_module(f"isotone.cli.{words[0]}").run(words[1:])


def _told(error: IsotoneError) -> str:
    """Return one problem as it is, many as a list that is short enough to read."""
    if not isinstance(error, DataError) or len(error.problems) < 2:
        return str(error)
    from isotone.data.audit import format_problems

    return f"{len(error.problems)} problems in the data; nothing was trained.\n{format_problems(error.problems)}"


def _note(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show isotone's own warnings as one line, and keep those of other packages off the screen."""
    del lineno, file, line
    if category is UserWarning and "isotone" in filename:
        _say(f"note: {message}")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
