"""`isotone embed RUN NEW --out z.parquet`: the representation of new rows."""

import sys

import numpy as np

from isotone.cli.arguments import Arguments
from isotone.cli.predict import new_file
from isotone.errors import ConfigError

FORMATS = (".parquet", ".csv", ".npy")


def run(words: list[str]) -> int:
    """Write one row of numbers for each row of a table."""
    parser = Arguments("embed", "Write the representation of each row of a table: label, z0, z1, ...")
    parser.add_argument("run", help="folder of a finished run")
    parser.add_argument("table", help="table with the same inputs (CSV, Parquet or .npz); labels are not needed")
    parser.add_argument("--out", required=True, help="file to write: .parquet, .csv, or .npy (numbers alone)")
    found = parser.read(words)
    out = new_file(found.out)
    assert out is not None, "--out is required"
    if out.suffix not in FORMATS:
        raise ConfigError(f"--out must end in {', '.join(FORMATS)}, got {out.name!r}.")

    import pandas as pd

    from isotone import api
    from isotone.data.spreadsheet import neutral

    run = api.load(found.run)
    inputs, labels = run.inputs(found.table)
    h = run.model.embed(inputs)
    if out.suffix == ".npy":
        np.save(out, h, allow_pickle=False)
    else:
        frame = pd.DataFrame(h, columns=[f"z{i}" for i in range(h.shape[1])])
        frame.insert(0, "label", labels if out.suffix == ".parquet" else [neutral(label) for label in labels])
        frame.to_parquet(out) if out.suffix == ".parquet" else frame.to_csv(out, index=False)
    sys.stderr.write(f"{h.shape[0]} rows of {h.shape[1]} numbers: {out}\n")
    return 0
