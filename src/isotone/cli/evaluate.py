"""`isotone evaluate RUN --probe linear,knn`: how much of the target can be read from the frozen representation."""

import sys
from typing import Any

from isotone.cli.arguments import Arguments


def run(words: list[str]) -> int:
    """Fit probes on a finished run's representation, print their test errors, append them to `probes.jsonl`."""
    parser = Arguments(
        "evaluate", "Fit probes on a finished run's frozen representation and score them on its test rows."
    )
    parser.add_argument("run", help="folder of a finished run; its probes.jsonl gets a line for each probe and target")
    parser.add_argument("--probe", default="linear,knn", help="linear, knn, or both: linear,knn (default: both)")
    found = parser.read(words)

    from isotone import api
    from isotone.evaluate.probes import number_probes

    names = number_probes(found.probe)
    done = api.load(found.run)
    rows = done.evaluate(names, quiet=False)
    sys.stdout.write(table(rows, done.metrics) + f"\nappended to {done.folder / 'probes.jsonl'}\n")
    return 0


def table(rows: list[dict[str, Any]], metrics: dict[str, Any]) -> str:
    """Return the probes' test errors as text, for each target, with the run's own models and the median below them.

    Args:
        rows: of `Run.evaluate`.
        metrics: of the run.
    """
    lines: list[str] = []
    for target in dict.fromkeys(row["target"] for row in rows):
        probes = [row for row in rows if row["target"] == target]
        title = f"test error, {probes[0]['n']} rows"
        lines.append(f"{title:50} {_unit(target):>14} {'95 % interval':>19} {'R2':>7}   settings")
        lines += [_line(row["probe"], row, _settings(row["settings"])) for row in probes]
        lines += [_line(row["model"], row) for row in metrics["rows"] if row["target"] == target and _beside(row)]
        lines += [f"note: {row['probe']}: {note}" for row in probes for note in row["notes"]]
    return "\n".join(lines)


# ----------------------------------------------------------------------------------------------------------------------


def _unit(target: str) -> str:
    return f"MAE ({target})" if len(target) <= 8 else f"MAE ({target[:7]}…)"


def _beside(row: dict[str, Any]) -> bool:
    """Tell whether a row of the run's metrics is worth its place: its own models, and the best constant for MAE."""
    return row["split"] == "test" and (row["role"] != "constant" or row["model"].startswith("median"))


def _line(name: str, row: dict[str, Any], settings: str = "") -> str:
    mae, r2 = row["mae"], row["r2"]["value"]
    interval = "-" if mae["low"] is None else f"{mae['low']:.4g} to {mae['high']:.4g}"
    line = f"{name[:50]:50} {mae['value']:14.4g} {interval:>19} " + ("      -" if r2 is None else f"{r2:7.3f}")
    return f"{line}   {settings}".rstrip()


def _settings(settings: dict[str, Any]) -> str:
    words = {name.replace("_", " "): f"{x:.3g}" if isinstance(x, float) else str(x) for name, x in settings.items()}
    return ", ".join(f"{name} {word}" for name, word in words.items())
