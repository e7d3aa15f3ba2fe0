"""`isotone report RUN [--against OTHER]`: the page of a finished run."""

import sys

from isotone.cli.arguments import Arguments


def run(words: list[str]) -> int:
    """Write `report.html` in the run's folder and print its path."""
    parser = Arguments("report", "Write a run's report again, beside another run (such as its baseline) if named.")
    parser.add_argument("run", help="folder of a finished run")
    parser.add_argument("--against", help="folder of another run, shown beside it")
    found = parser.read(words)

    from isotone.folder import existing
    from isotone.report import write_report

    other = None if found.against is None else existing(found.against)
    sys.stdout.write(f"report: {write_report(existing(found.run), other)}\n")
    return 0
