"""`isotone compare TABLE ...`: methods and heads beside each other, with intervals and a verdict in words."""

import shlex
import sys
from pathlib import Path

from isotone.cli.arguments import DATASET
from isotone.errors import ConfigError

OWN = {
    "table": "CSV or Parquet with a column of images (or --features), or .npz of signals; with the labels.",
    **DATASET,
    "--methods": "names with commas; the first is the reference that the others are compared with (default: "
    "baseline,rnc). `isotone methods` lists them.",
    "--heads": "names with commas, or all (default: l1, or classify). The baseline is trained with each; a method that "
    "trains an encoder alone is trained once a seed, and each head is fitted on its frozen features.",
    "--seeds": "number of seeds (default: 3)",
    "--out": "folder of the comparison; one that was stopped goes on there (default: compare-TABLE)",
    "--tune": "lr tries a third, one and three times each method's own learning rate on seed 0, chosen by validation "
    "(default); none takes the defaults",
    "--lrs": "learning rates to try in place of those, with commas",
    "--weight-decays": "weight decays to try with each learning rate, with commas",
}


def run(words: list[str]) -> int:
    """Compare, print the table, the verdicts and where the page is."""
    from isotone.settings import flag_value, parse, parts_of, table_or_root, with_recipe

    words = with_recipe(words)
    found = parse(parts_of("baseline")[1:], words, "isotone compare", OWN)
    given = {name.lstrip("-").replace("-", "_"): None for name in OWN}
    given = {name: found.pop(name) for name in given}
    found.pop("config")
    table = table_or_root({**given, "dataset": found["dataset"]}, "compare")

    from isotone.studies.arms import SET_HERE
    from isotone.studies.compare import compare

    for name in SET_HERE:  # a default that nobody typed is no wish
        if flag_value(words, f"--{name.replace('_', '-')}") is None:
            found.pop(name, None)
    config = flag_value(words, "--config")
    done = compare(
        table,
        methods=_names(given["methods"]) or ("baseline", "rnc"),
        heads=_names(given["heads"]),
        seeds=_whole("seeds", given["seeds"] or "3"),
        out=given["out"] or f"compare-{found['dataset'] or Path(table).stem}",
        tune=given["tune"] or "lr",
        lrs=_numbers("lrs", given["lrs"]),
        weight_decays=_numbers("weight-decays", given["weight_decays"]),
        config=config,
        command=shlex.join(["isotone", "compare", *words]),
        **found,
    )
    told = "\n".join((*done.answer, *done.tuning))
    sys.stdout.write(f"{done.text}\n\n{told}\nreport: {done.page}\n")
    return 0


# ----------------------------------------------------------------------------------------------------------------------


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _numbers(name: str, text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in _names(text))
    except ValueError:
        raise ConfigError(f"`{name}` must be numbers with commas between them, got {text!r}.") from None


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"`{name}` must be a whole number, got {text!r}.") from None
