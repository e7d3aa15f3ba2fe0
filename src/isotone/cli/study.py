"""`isotone study NAME TABLE ...`: many runs that answer one question.

A study is a module of `isotone.studies` with its name: a function of that name and `FLAGS`, what it takes beside the
settings of `isotone fit`. Adding one is that file and a line in `STUDIES`.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from isotone.cli.arguments import DATASET
from isotone.errors import ConfigError, nearest

STUDIES = {
    "robustness": "error against the severity of 19 corruptions of the test images",
    "few-data": "error against the number of training rows",
    "unseen": "error inside ranges of the target that were left out of training",
    "transfer": "an encoder of one table on another: linear probe, fine-tuned, and from scratch",
    "order": "does the representation follow the target, or fall apart by a nuisance such as a camera",
    "temperature": "error of RnC at several temperatures",
    "positives": "error of RnC when only the nearest candidates are positives",
    "similarity": "error of RnC with the distance, the cosine or the dot product of embeddings",
    "scheme": "a head on the frozen encoder, both trained on together, or one joint training, at the same compute",
    "label-noise": "how much of a representation survives wrong labels, and what ClusterFit wins back",
}
ARMS_HELP = "what is compared, the first is what others are held against: baseline,rnc (default); rnc lr=0.5,rnc lr=1"


def run(words: list[str]) -> int:
    """Run the study that the first word names, print its numbers and where its page is."""
    if not words or words[0] in ("-h", "--help"):
        listed = "\n".join(f"  {name:12} {text}" for name, text in STUDIES.items())
        sys.stdout.write(f"usage: isotone study NAME TABLE ...   (isotone study NAME --help tells more)\n\n{listed}\n")
        return 0
    name, *rest = words
    if name not in STUDIES:
        raise ConfigError(f"there is no study {name!r}; there are {', '.join(STUDIES)}.{nearest(name, STUDIES)}")
    module = import_module(f"isotone.studies.{name.replace('-', '_')}")
    given, settings = _read(name, rest, module)
    table, out = given.pop("table"), Path(given.pop("out", None) or f"study-{name}")
    study = getattr(module, name.replace("-", "_"))
    page = study(table, out=out, command=f"isotone study {_quoted(words)}", **given, **settings)
    sys.stdout.write((out / "study.csv").read_text(encoding="utf-8") + f"report: {page}\n")
    return 0


# ----------------------------------------------------------------------------------------------------------------------


def _read(name: str, words: Sequence[str], module: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is the study's own, and those settings of `isotone fit` that were given.

    Each method reads the flags that it knows, so that the arms may have settings of different methods. What a config
    or a recipe says of a setting that the study sets itself is left out.
    """
    from isotone.settings import flag_value, parse, parts_of, read_config, table_or_root, with_recipe
    from isotone.studies.flags import Flag, plain, whole
    from isotone.studies.flags import words as listed
    from isotone.studies.sweep import Arm

    words, arms = with_recipe(words), getattr(module, "ARMS", None)
    flags = {"--out": Flag("folder of the study; a study that was stopped goes on there", plain)}
    flags |= {"--arms": Flag(ARMS_HELP, listed)} if arms else {}
    flags |= {"--seeds": Flag("number of seeds (default: 1)", whole), **module.FLAGS}
    typed = flag_value(words, "--arms") if arms else None
    methods = [Arm.read(arm).method for arm in (listed("arms", typed) if typed else arms)] if arms else module.METHODS
    known = {method: _names(parts_of(method)) for method in methods}
    own_help = {"table": "CSV, Parquet or .npz", **DATASET, **{flag: entry.text for flag, entry in flags.items()}}
    found: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    for method in dict.fromkeys(methods):
        others = set().union(*known.values()) - known[method]
        mine = _without(words, others)
        found = parse(parts_of(method), mine, f"isotone study {name}", own_help)
        config = found.pop("config")
        asked = {word[2:].split("=")[0].replace("-", "_") for word in mine if word.startswith("--")}
        asked |= set(read_config(Path(config))) - _set_here(module) if config else set()
        settings |= {key: found[key] for key in asked & known[method]}
    readers = {flag.strip("-").replace("-", "_"): entry.read for flag, entry in flags.items()}
    own = {key: read(key, found[key]) for key, read in readers.items() if found[key] is not None}
    return {"table": table_or_root(found, f"study {name}"), **own}, settings


def _set_here(module: Any) -> set[str]:
    """Return the settings of `isotone fit` that a study sets itself."""
    about = getattr(module, "ABOUT", None)
    return {"seed", *(about.sets if about else getattr(module, "SETS", ()))}


def _names(parts: Sequence[Any]) -> set[str]:
    from dataclasses import fields

    return {field.name for part in parts for field in fields(part)}


def _without(words: Sequence[str], names: set[str]) -> list[str]:
    """Leave out the flags of other methods, with their values."""
    result: list[str] = []
    skip = False
    for word in words:
        if word.startswith("--"):
            flag, equals, _ = word[2:].partition("=")
            foreign = flag.replace("-", "_") in names
            skip = foreign and not equals
            if foreign:
                continue
        elif skip:
            skip = False
            continue
        result.append(word)
    return result


def _quoted(words: Sequence[str]) -> str:
    import shlex

    return " ".join(word if not set(word) & set(" \"'$;&|<>()*?`\\") else shlex.quote(word) for word in words)
