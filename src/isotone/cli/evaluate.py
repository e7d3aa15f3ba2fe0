"""`isotone evaluate RUN --probe linear,knn`: how much can be read from the frozen representation."""

import sys
from typing import Any

from isotone.cli.arguments import Arguments
from isotone.errors import ConfigError

PROBES = """linear (logistic regression or ridge), knn, svm (one against rest; of several labels a row with --labels or
--voc), layers (linear on each stage of the encoder), low-shot (1 to 96 rows of each class), semi (fine-tune on 1 and 10
%% of the labels), finetune (on all), invariance (what is left of turns and shuffled patches; images, no labels),
detection (boxes; --voc); several with commas (default: linear,knn)"""
UNITS = {"mean average precision": "mean AP", "relative distance": "distance"}


def run(words: list[str]) -> int:
    """Fit probes on a finished run's representation, print their test scores, append them to `probes.jsonl`."""
    parser = _parser()
    values = {name: value for name, value in vars(parser.read(words)).items() if value is not None}
    if values.pop("corruptions", False):
        _corruptions(values)
        if "probe" not in values:
            return 0
    folder, probes, data = values.pop("run"), values.pop("probe", "linear,knn"), values.pop("data", None)

    from isotone import api
    from isotone.evaluate.probes import probe_names

    names = probe_names(probes)
    done = api.load(folder)
    rows = done.evaluate(names, data, quiet=False, **values)
    own = data is None and not {"category", "target", "labels"} & set(values)
    beside = done.metrics["rows"] if own else []
    sys.stdout.write(table(rows, beside) + f"\nappended to {done.folder / 'probes.jsonl'}\n")
    return 0


def table(rows: list[dict[str, Any]], beside: list[dict[str, Any]]) -> str:
    """Return the probes' test scores as text: a block for each measure of each target, aligned.

    Args:
        rows: of `Run.evaluate`.
        beside: rows of the run's metrics; its own models and the best constant stand below the probes.
    """
    lines: list[str] = []
    for target, measure in dict.fromkeys((row["target"], row["score_name"]) for row in rows):
        block = [row for row in rows if (row["target"], row["score_name"]) == (target, measure)]
        own = [row for row in beside if row["target"] == target and measure in row and _worth(row)]
        lines.append(_head(target, measure, block[0]["n"]))
        lines += [_line(_name(row), row, measure, _settings(row)) for row in block]
        lines += [_line(row["model"], row, measure) for row in own]
    lines += dict.fromkeys(f"note: {row['probe']}: {note}" for row in rows for note in row["notes"])
    return "\n".join(lines)


# ----------------------------------------------------------------------------------------------------------------------


def _corruptions(values: dict[str, Any]) -> None:
    """Print the run's error by corruption and severity, and write it with intervals into the run's folder."""
    others = sorted(set(values) - {"run", "probe"})
    if others and "probe" not in values:
        raise ConfigError(
            f"--corruptions judges the run on its own test images and takes no --{others[0].replace('_', '-')}. "
            "Leave it out."
        )

    from isotone import api
    from isotone.studies.corrupted import corrupted_errors, corruption_table, run_data

    done = api.load(values["run"])
    data = run_data(done)
    found = corruption_table(corrupted_errors([done], data)[0], data, seed=done.settings.train.seed)
    found.to_csv(done.folder / "corruptions.csv", index=False)
    wide = found[found["severity"] > 0].pivot(index="corruption", columns="severity", values="error")
    unit = "share of wrong classes" if data.classes else f"MAE ({', '.join(data.target_names)})"
    sys.stdout.write(f"test error, {unit}, by severity; clean images: {found['error'].iloc[0]:.4g}\n")
    for name in dict.fromkeys(found["corruption"]):
        sys.stdout.write(f"{name:20}" + "".join(f"{x:10.4g}" for x in wide.loc[name]) + "\n")
    sys.stdout.write(f"with intervals in {done.folder / 'corruptions.csv'}\n")


def _parser() -> Arguments:
    parser = Arguments("evaluate", "Fit probes on a finished run's frozen representation and score them on test rows.")
    parser.add_argument("run", help="folder of a finished run; its probes.jsonl gets a line for each score")
    parser.add_argument("--probe", help=PROBES)
    parser.add_argument(
        "--corruptions", action="store_const", const=True, help="errors under 19 corruptions, 5 severities"
    )
    parser.add_argument("--data", help="another table of the same kind of input, to probe the run on (transfer)")
    parser.add_argument("--category", help="column of classes to probe, in place of the run's own labels")
    parser.add_argument("--target", help="column or columns of numbers to probe, in place of the run's own labels")
    parser.add_argument("--labels", help="svm: columns of 0 and 1, several labels a row: --labels car,person,dog")
    parser.add_argument("--group", help="with these: column that says whose row it is")
    parser.add_argument("--split-column", help="with these: column with the words train, val and test")
    parser.add_argument("--image-column", help="with these: column of images, where it is not called as in the run")
    parser.add_argument("--voc", help="detection, svm: folder with Annotations and JPEGImages, as Pascal VOC has them")
    parser.add_argument("--train-encoder", action="store_const", const=True, help="detection: train its copy too")
    parser.add_argument("--steps", type=int, help="detection: training steps of 4 images (default: 500)")
    parser.add_argument("--passes", type=int, help="semi, finetune: passes of each row (default: 30; more of few rows)")
    parser.add_argument("--lr", type=float, help="semi, finetune (default: 0.05) and detection (0.02): learning rate")
    return parser


def _head(target: str, measure: str, n: int) -> str:
    if measure == "mae":
        title, unit = f"test error, {n} rows", f"MAE ({target if len(target) <= 8 else target[:7] + '…'})"
    else:
        title, unit = f"{target[:30]}, {n} test rows", UNITS.get(measure, measure)
    second = {"mae": "R2", "accuracy": "balanced"}.get(measure, "")
    return f"{title:50} {unit:>14} {'95 % interval':>19} {second:>8}   settings"


def _worth(row: dict[str, Any]) -> bool:
    """Tell whether a row of the run's metrics is worth its place: its own models, and the best constant."""
    median = row["model"].startswith("median") or "accuracy" in row
    return row["split"] == "test" and (row["role"] != "constant" or median)


def _name(row: dict[str, Any]) -> str:
    settings = row["settings"]
    more = {
        "layers": lambda: f" {row['stage']}: {' x '.join(map(str, row['map']))} to {row['width']}",
        "low-shot": lambda: f" {settings['model']}, {settings['rows_per_class']} rows a class",
        "semi": lambda: f", {settings['labels']} of the labels: {settings['rows']} rows",
    }
    return row["probe"] + more.get(row["probe"], lambda: "")()


def _line(name: str, row: dict[str, Any], measure: str, settings: str = "") -> str:
    bounds = row.get(measure) or {"value": row["score"], "low": None, "high": None}
    interval = "-" if bounds["low"] is None else f"{bounds['low']:.4g} to {bounds['high']:.4g}"
    if row.get("std") is not None:
        interval = f"std {row['std']:.2g}"
    second = row.get({"mae": "r2", "accuracy": "balanced_accuracy"}.get(measure, ""), {"value": None})["value"]
    value = "-" if bounds["value"] is None else f"{bounds['value']:.4g}"
    last = "-" if second is None else f"{second:.3f}"
    return f"{name[:50]:50} {value:>14} {interval:>19} {last:>8}   {settings}".rstrip()


def _settings(row: dict[str, Any]) -> str:
    said = row["settings"] | ({"guessing": row["chance"]} if "chance" in row else {})
    words = {name.replace("_", " "): f"{x:.3g}" if isinstance(x, float) else str(x) for name, x in said.items()}
    return ", ".join(f"{name} {word}" for name, word in words.items())
