"""Print the table of docs/results.md for a comparison of heads, from its summary: test MAE with its 95 % interval,
end to end and on the frozen encoder of RnC, and the difference of each to end-to-end L1.

python bench/heads_table.py runs/cmp-digits
"""

import math
import sys
from pathlib import Path

import pandas as pd


def main(folder: Path) -> None:
    """Print a Markdown table: a row for each head, then kNN and what needs no training."""
    summary = pd.read_csv(folder / "summary.csv").set_index("arm")
    ways = ("baseline", "rnc")
    heads = [name.removeprefix("rnc-") for name in summary.index if name.startswith("rnc-")]
    print("| head | end to end: MAE | against L1 | RnC, frozen: MAE | against end-to-end L1 |")
    print("|---|---|---|---|---|")
    for head in heads:
        cells = [cell for way in ways for cell in _cells(summary, f"{way}-{head}")]
        print(f"| {head} | {' | '.join(cells)} |")
    for arm in (arm for arm in summary.index if arm.partition("-")[0] not in ways):
        print(f"| {summary.at[arm, 'title']} | {' | '.join(_cells(summary, arm))} | | |")
    tuning = pd.read_csv(folder / "tuning.csv")
    for run, tried in tuning.groupby("run", sort=False):
        taken = tried[tried["taken"]].iloc[0]
        print(f"{run}: {len(tried)} settings tried, taken lr {taken['lr']:g}, weight decay {taken['weight_decay']:g}")


def _cells(summary: pd.DataFrame, arm: str) -> list[str]:
    """Return an arm's error and its difference to the reference, each with its interval."""
    if arm not in summary.index:
        return ["", ""]
    row = summary.loc[arm]
    error = f"{row['mae']:.2f} ({row['loss_low']:.2f} to {row['loss_high']:.2f})"
    if math.isnan(row["percent_low"]) or row["percent_low"] == row["percent_high"] == 0:
        return [error, ""]
    return [error, f"{row['percent']:+.1f} % ({row['percent_low']:+.1f} to {row['percent_high']:+.1f})"]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
