"""`isotone resume RUN`: goes on where a stopped or killed run was saved."""

import sys

from isotone.cli.arguments import Arguments
from isotone.cli.fit import summary


def run(words: list[str]) -> int:
    """Go on with a run; it ends with the weights of the run that was never stopped."""
    parser = Arguments("resume", "Go on with a run that was stopped or killed, with exactly the settings it has.")
    parser.add_argument("run", help="folder of the run")
    parser.add_argument("--workers", type=int, help="other number of data workers; never changes a result")
    found = parser.read(words)

    from isotone import api

    done = api.resume(found.run, workers=found.workers)
    sys.stdout.write(summary(done.metrics) + f"\nreport: {done.folder / 'report.html'}\n")
    return 0
