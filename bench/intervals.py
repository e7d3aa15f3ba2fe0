"""Do 90 % intervals cover 90 % of new groups? Frozen features of a finished run, validation and test groups drawn anew.

python bench/intervals.py RUN [DRAWS] [constant|quantile]

The groups of the run's validation and test rows, none of which its encoder was trained on, are dealt to the two sides
again; the head is fitted again, calibrated and checked. For runs of at most 2,000 rows, which keep their features.
"""

import sys
from pathlib import Path

import numpy as np
import torch

import isotone
from isotone.evaluate.coverage import calibrate, coverage, quantile_band
from isotone.evaluate.probes import kept_rows
from isotone.evaluate.stage_two import fit_head
from isotone.predict.conformal import widened
from isotone.predict.scaling import Scaling
from isotone.records import Dataset


def main(folder: Path, draws: int, form: str) -> None:
    """Print the coverage of each draw and their mean."""
    run, kept = isotone.load(folder), kept_rows(folder)
    assert kept is not None, "the run kept the features of only some of its rows"
    n, h = len(kept.h), torch.from_numpy(kept.h)
    group = np.arange(n).astype(str) if kept.group is None else kept.group.astype(str)
    held = np.unique(group[kept.split != "train"])
    scaling = Scaling.of(kept.target[kept.split == "train"])
    found: list[tuple[float, float]] = []
    for seed in range(draws):
        val = np.random.default_rng(seed).permutation(held)[: len(held) // 2]
        side = np.where(kept.split == "train", "train", np.where(np.isin(group, val), "val", "test"))
        data = Dataset(folder.name, "rows", kept.h, kept.target, kept.target_names, side, group, np.arange(n), group)
        layer = fit_head(data, h, lambda *_: h, scaling, run.settings.method.head, run.settings.head, seed=seed).layer
        with torch.no_grad():
            prediction = scaling.restore(layer(h).double().numpy())
        calibration = calibrate(data, prediction)
        ends = widened((prediction, prediction), calibration.half_width(0.9))
        if form == "quantile":
            ends = quantile_band(data, kept.h, calibration, 0.9).ends(kept.h)
        row = coverage(data, ends, calibration, 0.9, seed=seed)["intervals"]["rows"][0]
        found.append((row["coverage"]["value"], row["width"]))
        print(f"draw {seed}: covered {found[-1][0]:.3f}, width {found[-1][1]:.4g}", flush=True)
    share, width = np.mean(found, axis=0)
    error = np.std([one for one, _ in found]) / np.sqrt(draws)
    print(f"mean of {draws}: covered {share:.4f} ± {error:.4f}, width {width:.4g}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20, (sys.argv[3:] or ["constant"])[0])
