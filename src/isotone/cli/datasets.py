"""`isotone datasets`: the published data sets, a card for each, and the table of a folder."""

import sys
from pathlib import Path

from isotone.cli.arguments import Arguments
from isotone.data.settings import SPLITS
from isotone.errors import ConfigError, nearest

FORMATS = (".csv", ".parquet")


def run(words: list[str]) -> int:
    """List the data sets; print the card of one; or write what its folder holds as a table."""
    parser = Arguments(
        "datasets", "List the published data sets, show the card of one, or write its folder as a table."
    )
    parser.add_argument("name", nargs="?", help="such as agedb; without it all are listed")
    parser.add_argument("--root", type=Path, help="its folder, as downloaded")
    parser.add_argument("--out", type=Path, help="table to write, .csv or .parquet; below the root, to be trained on")
    parser.add_argument("--split", choices=SPLITS, default="drawn", help="adds a column split")
    parser.add_argument("--hold-out", help="the group that is the test; adds a column split")
    asked = parser.read(words)

    from isotone.data.datasets import DATASETS, reader

    if asked.name is None:
        for name in DATASETS:
            sys.stdout.write(f"{name:15} {reader(name).CARD.title}\n")
        sys.stdout.write("\nIts card: isotone datasets NAME\n")
        return 0
    if asked.name not in DATASETS:
        known = ", ".join(DATASETS)
        raise ConfigError(f"there is no data set {asked.name!r}.{nearest(asked.name, DATASETS)} There are: {known}.")
    if asked.root is None:
        sys.stdout.write(f"{reader(asked.name).CARD}\n")
        return 0
    return _written(asked.name, asked.root, asked.out, asked.split, asked.hold_out)


# ----------------------------------------------------------------------------------------------------------------------


def _written(name: str, root: Path, out: Path | None, split: str, hold_out: str | None) -> int:
    """Print what a folder holds, and write it where a table was asked for; 2 where something is missing."""
    from isotone.data.datasets import reader
    from isotone.data.datasets.reading import read_folder, summary, with_columns
    from isotone.data.settings import DataSettings

    if out is not None and out.suffix not in FORMATS:
        raise ConfigError(f"--out must end in {' or '.join(FORMATS)}, but is {out}.")
    settings = with_columns(DataSettings(dataset=name, split=split, hold_out=hold_out))  # pyright: ignore[reportArgumentType]
    reading = read_folder(root, settings)
    for fault in reading.faults:
        sys.stdout.write(f"{fault}\n")
    for remark in reading.remarks:
        sys.stdout.write(f"{remark}\n")
    frame = reading.frame
    sys.stdout.write(f"{name}: {summary(len(frame), reading.left_out)}\n")
    if out is not None:
        records = [cell for cell in frame[reader(name).CARD.inputs] if not isinstance(cell, str)]
        if records and (out.suffix == ".csv" or len(records) < len(frame)):
            raise ConfigError(
                f"{len(records)} rows hold images, not file names (such as {records[0]['path']}), which {out} cannot. "
                + ("Write .parquet." if len(records) == len(frame) else "Rename these files to plain text.")
            )
        frame.to_csv(out, index=False) if out.suffix == ".csv" else frame.to_parquet(out)
    return 2 if reading.faults else 0
