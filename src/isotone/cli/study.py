"""`isotone study label-noise TABLE ...`: many runs that answer one question."""

import sys
from pathlib import Path

from isotone.errors import ConfigError, nearest

STUDIES = {"label-noise": "how much of a representation survives wrong labels, and what ClusterFit wins back"}
OWN = {
    "table": "CSV or Parquet with a column of classes (--category)",
    "--out": "folder of the study; a study that was stopped goes on there",
    "--transfer": "table of the task that judges; without it the same task, with right labels",
    "--noise": "shares of wrong labels (default: 0,0.25,0.5,0.75)",
    "--seeds": "number of seeds (default: 1)",
    "--clusters": "clusters of ClusterFit (default: the method's)",
}


def run(words: list[str]) -> int:
    """Run the study that the first word names, print its answer and where its page is."""
    if not words or words[0] in ("-h", "--help"):
        listed = "\n".join(f"  {name:12} {text}" for name, text in STUDIES.items())
        sys.stdout.write(f"usage: isotone study NAME TABLE ...   (isotone study NAME --help tells more)\n\n{listed}\n")
        return 0
    name, *rest = words
    if name not in STUDIES:
        raise ConfigError(f"there is no study {name!r}; there are {', '.join(STUDIES)}.{nearest(name, STUDIES)}")

    from isotone.settings import parse, parts_of

    found = parse(parts_of("baseline"), rest, f"isotone study {name}", OWN)
    given = {key: found.pop(key) for key in ("table", "out", "transfer", "noise", "seeds", "clusters")}
    found.pop("config")
    if given["table"] is None:
        raise ConfigError(f"isotone study {name} needs a table. Try: isotone study {name} --help")
    out = Path(given["out"] or f"study-{name}")

    from isotone.studies.label_noise import NOISE, label_noise

    page = label_noise(
        given["table"],
        out=out,
        transfer=given["transfer"],
        noise=_numbers("noise", given["noise"]) or NOISE,
        seeds=int(_numbers("seeds", given["seeds"] or "1")[0]),
        clusters=int(_numbers("clusters", given["clusters"] or "0")[0]),
        command=f"isotone study {' '.join(words)}",
        **found,
    )
    sys.stdout.write((out / "study.csv").read_text(encoding="utf-8") + f"report: {page}\n")
    return 0


# ----------------------------------------------------------------------------------------------------------------------


def _numbers(name: str, text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in (text or "").split(",") if part.strip())
    except ValueError:
        raise ConfigError(f"`{name}` must be numbers with commas between them, got {text!r}.") from None
