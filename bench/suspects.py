"""Plant wrong targets in a table, and say how many of them `isotone suspects` puts first.

python bench/suspects.py plant labels.csv hc_px planted.csv SEED
    replaces 5 % of the targets by that of another row at least one standard deviation away; the column `planted` says
    which, `true_NAME` what they were. Put the table beside the first: it names the same files.
isotone fit planted.csv ... --out RUN; isotone suspects RUN --rows all
python bench/suspects.py judge RUN planted.csv
    precision among as many first rows as were planted, for the training rows and for all
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

SHARE = 0.05


def plant(table: Path, target: str, out: Path, seed: int) -> None:
    """Write the table with wrong targets."""
    frame = pd.read_csv(table, dtype=str)
    draw, y = np.random.default_rng(seed), frame[target].astype(float).to_numpy()
    wrong, n = y.copy(), len(y)
    for row in draw.choice(n, round(SHARE * n), replace=False):
        wrong[row] = y[draw.choice(np.flatnonzero(np.abs(y - y[row]) >= y.std()))]
    frame[f"true_{target}"], frame[target], frame["planted"] = y, wrong, (wrong != y).astype(int)
    frame.to_csv(out, index=False)
    gap = np.abs(wrong - y)[wrong != y]
    print(f"{len(gap)} of {n} rows planted, {gap.min():.4g} to {gap.max():.4g} away, median {np.median(gap):.4g}")


def judge(run: Path, table: Path) -> None:
    """Print the precision of the run's suspects at the number planted."""
    found, planted = pd.read_csv(run / "suspects.csv"), pd.read_csv(table)["planted"].to_numpy()
    for name, rows in (("training rows", found["split"] == "train"), ("all ranked rows", found["split"] != "")):
        hit = planted[found["row"][rows] - 2]  # line 1 is the header
        clear = hit[found["score"][rows] >= 2.5]
        count, first = int(hit.sum()), int(hit[: hit.sum()].sum())
        print(f"{name}: {first} of the first {count} are planted ({first / count:.2f});", end=" ")
        print(f"{int(clear.sum())} of {len(clear)} clear suspects")


if __name__ == "__main__":
    verb, *words = sys.argv[1:]
    if verb == "plant":
        plant(Path(words[0]), words[1], Path(words[2]), int(words[3]))
    else:
        judge(Path(words[0]), Path(words[1]))
