"""`isotone demo`: the main job in a minute, with data that come with scikit-learn."""

import sys
from pathlib import Path

from isotone.cli.arguments import Arguments


def run(words: list[str]) -> int:
    """Train the baseline and RnC on turned digits with equal compute, print the table, write the report."""
    parser = Arguments(
        "demo", "Handwritten digits turned by an angle: baseline and RnC on equal compute, and a report."
    )
    parser.add_argument("--out", help="folder of the two runs (default: demo, or the next free demo-2, demo-3, ...)")
    parser.add_argument("--seed", type=int, default=0, help="of data, split and training (default: 0)")
    parser.add_argument("--tune", action="store_true", help="search the learning rate of both on validation (long)")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds of --tune (default: 3)")
    found = parser.read(words)

    from isotone import check, demo
    from isotone.folder import claim

    check.between("seed", found.seed, 0, 2**31)
    check.between("seeds", found.seeds, 1, 100)
    if found.tune:
        out = Path(found.out or "demo-tune")
        for row in demo.tune(out, seeds=found.seeds, quiet=True):
            sys.stdout.write(
                "  ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()) + "\n"
            )
        return 0
    out = claim(found.out or _free("demo"), "demo")
    sys.stdout.write(
        "1,797 handwritten digits, each turned by -60 to 60 degrees: predict the angle, whatever the digit.\n"
    )
    runs = demo.train_demo(out, seed=found.seed)
    lines = [f"{'equal encoder passes, test set':40} {'MAE (degrees)':>14} {'order (Spearman)':>17}"]
    for name, done in runs.items():
        metrics = done.metrics
        for role, mae in demo.errors(metrics, "test").items():
            title = f"{name}{', head fitted again' if role == 'refit' else ''}"
            order = metrics["order"]["spearman"]
            lines.append(f"{title:40} {mae:14.2f} " + (f"{order:17.3f}" if order is not None else f"{'-':>17}"))
    sys.stdout.write("\n".join(lines) + f"\nreport: {runs['rnc'].folder / 'report.html'}\n")
    return 0


# ----------------------------------------------------------------------------------------------------------------------


def _free(name: str) -> str:
    """Return the name, or the next `name-2`, `name-3`, ... that is not taken."""
    number, free = 1, name
    while Path(free).exists():
        number += 1
        free = f"{name}-{number}"
    return free
