"""`isotone check TABLE ...`: every problem of the data, before anything is trained."""

import sys

from isotone.cli.arguments import DATASET

OWN = {
    "table": "CSV or Parquet with a column of images (or --features) and the target or the category.",
    **DATASET,
}


def run(words: list[str]) -> int:
    """Print every problem; the status is 2 where one of them would stop a training."""
    from pathlib import Path

    from isotone.data.audit import audit, format_problems
    from isotone.data.recordings import windowed
    from isotone.data.settings import DataSettings
    from isotone.data.table import read_table
    from isotone.settings import parse, table_or_root, with_recipe

    values = parse((DataSettings,), with_recipe(words), "isotone check", OWN)
    table = table_or_root(values, "check")
    for name in ("table", "root", "recipe", "config"):
        values.pop(name)
    settings = DataSettings(**values)
    found = audit(windowed(read_table(Path(table), settings, labels="optional"), settings), settings)
    fatal = [problem for problem in found.problems if problem.fatal]
    if found.problems:
        sys.stdout.write(format_problems(found.problems, limit=len(found.problems)) + "\n")
    good, rows = int(found.keep.sum()), len(found.keep)
    sys.stdout.write(
        f"{table}: {rows} rows, {good} good, {len(fatal)} problems, {len(found.problems) - len(fatal)} notes\n"
    )
    return 2 if fatal else 0
