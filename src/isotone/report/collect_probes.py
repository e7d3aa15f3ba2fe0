"""Read what probes found in a run's frozen representation: the latest rows of `probes.jsonl`."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from isotone.report.contents import Interval, Probe
from isotone.report.values import LONGEST_VALUE, count, interval, number, rows, text


def read_probes(path: Path) -> tuple[Probe, ...]:
    """Return the rows of the latest call of each probe on each target, in the order in which these were first called.

    A call may write several rows (one a stage, one a share of the labels); all rows of one call have one time.

    Args:
        path: of `probes.jsonl`; nothing is returned where it is not there.

    Raises:
        KeyError, ValueError, TypeError: a line is no probe's.
    """
    if not path.is_file():
        return ()
    lines = path.read_text(encoding="utf-8").splitlines()
    latest: dict[tuple[str, str], dict[tuple[str, str], Probe]] = {}
    times: dict[tuple[str, str], str] = {}
    for row in rows([json.loads(line) for line in lines if line.strip()]):
        probe, time = _probe(row), str(row.get("time", ""))
        call = (probe.name, probe.target)
        if times.setdefault(call, time) != time:
            times[call], latest[call] = time, {}
        latest.setdefault(call, {})[probe.stage, probe.settings] = probe
    return tuple(probe for found in latest.values() for probe in found.values())


# ----------------------------------------------------------------------------------------------------------------------


def _probe(row: Mapping[str, object]) -> Probe:
    score_name = str(row.get("score_name", "score"))
    found = row.get("interval", row.get(score_name))
    bounds = interval(found) if isinstance(found, Mapping) else Interval(math.nan, math.nan, math.nan)
    target, data = text(row.get("target") or ""), row.get("data")
    return Probe(
        name=text(row["probe"]),
        target=target if data is None else f"{target} of {text(data)}",
        stage="" if row.get("stage") is None else text(row["stage"]),
        n=count(row.get("n")),
        score=number(row["score"]),
        score_name=text(score_name).replace("_", " "),
        interval=bounds,
        std=number(row.get("std")),
        settings=_settings(row),
        notes=tuple(text(note, LONGEST_VALUE) for note in cast(list[object], row.get("notes") or [])),
    )


def _settings(row: Mapping[str, object]) -> str:
    given = dict(cast(Mapping[str, object], row.get("settings") or {}))
    given |= {"chance": row["chance"]} if "chance" in row else {}
    said = {name: f"{x:.3g}" if isinstance(x, float) else x for name, x in given.items()}
    return text(", ".join(f"{name.replace('_', ' ')} {x}" for name, x in said.items()), LONGEST_VALUE)
