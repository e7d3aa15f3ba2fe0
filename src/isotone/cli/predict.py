"""`isotone predict RUN NEW --out preds.csv`: numbers in the user's units, or classes and their probabilities."""

import sys
from pathlib import Path

from isotone.cli.arguments import Arguments
from isotone.errors import ConfigError


def run(words: list[str]) -> int:
    """Predict the rows of a table with a finished run."""
    parser = Arguments(
        "predict", "Predict for the rows of a new table: the target in its own units, or the class and its probability."
    )
    parser.add_argument("run", help="folder of a finished run")
    parser.add_argument("table", help="table with the same inputs (CSV, Parquet or .npz); labels are not needed")
    parser.add_argument("--out", help="CSV to write; without it the lines go to the screen")
    parser.add_argument("--interval", type=float, help="write intervals that hold this share of new rows, such as 0.9")
    forms = (
        "constant (one width) or quantile (see `isotone fit --help`); without it the form that the run was fitted with"
    )
    parser.add_argument("--interval-form", choices=("constant", "quantile"), help=forms)
    found = parser.read(words)
    out = new_file(found.out)
    if found.interval_form is not None and found.interval is None:
        raise ConfigError(
            "--interval-form says of which kind intervals are, but none are asked for. Add --interval 0.9."
        )

    import pandas as pd

    from isotone import api
    from isotone.data.spreadsheet import neutral
    from isotone.predict.conformal import bounds

    model = (run := api.load(found.run)).model
    model.check_predicts()  # before new images are read
    interval = None if found.interval is None else model.interval(found.interval, found.interval_form)
    inputs, labels = run.inputs(found.table)
    h = model.embed(inputs)
    prediction = model.predict(h)
    frame = pd.DataFrame({"label": [neutral(label) for label in labels]})
    if model.classes:
        name = str(model.category_name)
        classes = [neutral(text) for text in prediction[:, 0]]
        frame[neutral(f"predicted_{name}" if name in frame.columns else name)] = classes
        columns = [f"probability_{name}" for name in model.classes]
        frame = pd.concat([frame, pd.DataFrame(model.probabilities(h), columns=columns)], axis=1)
    for column, name in enumerate(model.target_names):
        frame[neutral(name)] = prediction[:, column]
    names = [neutral(name) for name in model.target_names]
    frame = frame.assign(**bounds(names, None if interval is None else interval(h), list(frame)))
    frame.to_csv(sys.stdout if out is None else out, index=False)
    if out is not None:
        sys.stderr.write(f"{len(frame)} predictions: {out}\n")
    return 0


def new_file(out: str | None) -> Path | None:
    """Return the path of a file that does not exist yet.

    Raises:
        ConfigError: where it exists, or its folder does not.
    """
    if out is None:
        return None
    path = Path(out)
    if path.exists():
        raise ConfigError(f"{path} exists, and nothing is overwritten. Choose another --out.")
    if not path.parent.is_dir():
        raise ConfigError(f"the folder {path.parent} does not exist. Make it, or choose another --out.")
    return path
