"""What probes read from the frozen representation: the latest scores as a table, and the curve over encoder stages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from isotone.report.contents import Probe, Side
from isotone.report.drawing import COLOUR, Picture, picture
from isotone.report.figures import decimals, fixed, short_number
from isotone.report.figures_classes import percent
from isotone.report.values import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure
else:
    Figure = object  # Matplotlib is loaded when something is drawn; the name must exist for run-time checks

SHARES = ("accuracy", "balanced accuracy", "mean average precision")  # scores shown in per cent


@dataclass(frozen=True)
class ProbeLine:
    """A line of the table of probes: texts only, with the name and the colour of the run that was probed."""

    run: str
    colour: str
    probe: str
    stage: str
    target: str
    measure: str
    score: str
    interval: str
    n: str
    settings: str


def probe_lines(sides: Sequence[Side]) -> list[ProbeLine]:
    """Return the latest scores of all probes of all runs; the runs stand below each other, probe by probe."""
    calls = dict.fromkeys((probe.name, probe.target) for side in sides for probe in side.run.probes)
    return [
        _line(side, probe)
        for call in calls
        for side in sides
        for probe in side.run.probes
        if (probe.name, probe.target) == call
    ]


def probe_notes(sides: Sequence[Side]) -> list[str]:
    """Return what the probes say of their own limits, each sentence once."""
    return list(dict.fromkeys(f"{p.name}: {note}" for side in sides for p in side.run.probes for note in p.notes))


def stage_figures(sides: Sequence[Side]) -> list[Picture]:
    """Draw, for each target, the score of the `layers` probe over the stages of the encoder, all runs on one axis."""
    layers = [(side, p) for side in sides for p in side.run.probes if p.name == "layers" and p.stage]
    return [
        _stages([(side, p) for side, p in layers if (p.target, p.score_name) == kind], kind, i)
        for i, kind in enumerate(dict.fromkeys((p.target, p.score_name) for _, p in layers))
    ]


# ----------------------------------------------------------------------------------------------------------------------


def _line(side: Side, probe: Probe) -> ProbeLine:
    def said(value: float) -> str:
        return percent(value) if probe.score_name in SHARES else fixed(value, decimals(abs(probe.score)))

    low, high = (said(x).removesuffix(" %") for x in (probe.interval.low, probe.interval.high))
    return ProbeLine(
        run=side.name,
        colour=side.colour,
        probe=f"{probe.name}: {probe.stage}" if probe.stage else probe.name,
        stage=probe.stage,
        target=probe.target,
        measure=probe.score_name,
        score=said(probe.score),
        interval=f"{low} to {high}" if low != "n/a" else "n/a" if said(probe.std) == "n/a" else f"± {said(probe.std)}",
        n=f"{probe.n:,}" if probe.n else "n/a",
        settings=probe.settings,
    )


def _stages(found: Sequence[tuple[Side, Probe]], kind: tuple[str, str], i: int) -> Picture:
    stages = list(dict.fromkeys(probe.stage for _, probe in found))
    share, (target, measure) = kind[1] in SHARES, kind
    by_side = {
        side.name: (side.colour, {p.stage: p.score * (100 if share else 1) for other, p in found if other is side})
        for side in {id(side): side for side, _ in found}.values()
    }

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for colour, scores in by_side.values():
            values = [scores.get(stage, float("nan")) for stage in stages]
            axes.plot(np.arange(len(stages)), values, marker="o", color=COLOUR[colour], linewidth=1.6, markersize=6)
        axes.set_xticks(np.arange(len(stages)), [shortened(stage, 16) for stage in stages])
        for label in axes.get_xticklabels() if sum(map(len, stages)) > 36 else []:
            label.set(rotation=35, ha="right", rotation_mode="anchor")
        axes.set_xlabel("stage of the encoder")
        axes.set_title(shortened(f"{measure}{' in %' if share else ''} ({target})", 54), color=COLOUR["muted"])
        axes.grid(visible=False, axis="x")
        axes.tick_params(length=0)

    told = " ".join(
        f"{name}: {'; '.join(f'{stage} {short_number(score)}' for stage, score in scores.items())}."
        for name, (_, scores) in by_side.items()
    )
    return picture(draw, 3.2, f"{measure} of the probe of {target} by stage of the encoder. {told}", f"stages{i}")
