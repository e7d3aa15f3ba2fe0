"""All settings of a run: dataclasses are the one source of defaults, flags, help and the YAML that a run saves.

The command line, a Python call and a recipe all end in `resolve`, so they know the same names and types.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints

from jsonargparse import ArgumentError, ArgumentParser

from isotone.data.settings import DataSettings
from isotone.errors import ConfigError, nearest
from isotone.evaluate.stage_two import HeadSettings
from isotone.methods import ALIASES, METHODS, method_class
from isotone.records import Method
from isotone.train.settings import TrainSettings

LIST, NUMBERS = tuple[str, ...], tuple[float, ...]


@dataclass(frozen=True)
class NetSettings:
    """The encoder and the views it sees.

    Args:
        encoder: small-cnn, resnet18 (as published), resnet18-small (3x3 stem), mlp (rows), cnn-1d, resnet-1d or eegnet
            (signals), or any timm model; auto takes small-cnn up to 96 px, resnet18 above, mlp for rows, cnn-1d for
            signals.
        norm: batch; group where batches are small, correlated or spread over processes; channel is group that lets no
            place or moment know of the others, for cpc on signals.
        pretrained: start from timm's weights (the only setting that uses the network).
        weights: safetensors file of encoder weights to start from.
        augment: augmentations of training views, a list or none; mild is flip and light, which keep sizes and counts.
            A crop changes a size, a flip an angle, color a hue: the report shows the views with their targets.
    """

    encoder: str = "auto"
    norm: Literal["batch", "group", "channel"] = "batch"
    pretrained: bool = False
    weights: str | None = None
    augment: tuple[str, ...] = ("mild",)


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run's result, grouped by the room that reads it."""

    name: str
    method: Method
    data: DataSettings
    train: TrainSettings
    net: NetSettings
    head: HeadSettings

    def flat(self) -> dict[str, Any]:
        """Return the settings as one mapping of plain values, as `config.yaml` holds them."""
        parts = (self.method, self.data, self.train, self.net, self.head)
        merged = {"method": self.name}
        for part in parts:
            merged |= asdict(part)  # pyright: ignore[reportArgumentType]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in merged.items()}


def parts_of(method: str) -> tuple[type[Any], ...]:
    """Return the dataclasses whose fields are a method's settings: its own first, then those that all methods share.

    Raises:
        ConfigError: for an unknown method.
    """
    return (method_class(method), DataSettings, TrainSettings, NetSettings, HeadSettings)


def build_parser(parts: Sequence[type[Any]], prog: str, own: Mapping[str, str]) -> ArgumentParser:
    """Return a parser with a flag for each field of the dataclasses `parts`; their docstrings are the help.

    Args:
        parts: dataclasses of settings.
        prog: shown in the help.
        own: the verb's own arguments and their help; a name without hyphens is positional.
    """
    parser = ArgumentParser(prog=prog, exit_on_error=False, allow_abbrev=False)
    parser.add_argument(
        "--config", help="YAML with any settings, such as a run's config.yaml, or a recipe's name; flags win."
    )
    for name, text in own.items():
        if name.startswith("-"):
            parser.add_argument(f"--{name[2:].replace('-', '_')}", help=text)
        else:
            parser.add_argument(name, help=text, nargs="?")
    for part in parts:
        parser.add_class_arguments(part, fail_untyped=True)
    for action in parser._actions:  # the help shows `--image-column`, `_plain` turns it into what is parsed
        action.option_strings = [option.replace("_", "-") for option in action.option_strings]
    return parser


def parse(parts: Sequence[type[Any]], arguments: Sequence[str], prog: str, own: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of command-line flags, with the defaults of those that were not given.

    Args:
        parts: dataclasses of settings.
        arguments: as typed, without the verb.
        prog: shown in the help.
        own: as in `build_parser`.

    Raises:
        ConfigError: unknown flags (with the nearest) and wrong types.
    """
    parser = build_parser(parts, prog, own)
    typed = _plain(arguments, parts)
    config = flag_value(typed, "--config")
    known = [f.name for part in parts for f in fields(part)] + [name.lstrip("-") for name in own] + ["config", "debug"]
    try:
        if config is not None:
            parser.set_defaults(only_known(read_config(Path(config)), parts, config))
        return vars(parser.parse_args(typed))
    except ArgumentError as error:
        raise ConfigError(_worded(str(error), known, prog)) from error


def resolve(method: str, values: Mapping[str, Any]) -> Settings:
    """Return checked settings from named values, as a Python call, a recipe or a saved run gives them.

    Args:
        method: name.
        values: flat mapping of settings; those left out take their default.

    Raises:
        ConfigError: for unknown names (with the nearest), wrong types and values out of range.

    Example:
        >>> resolve("rnc", {"passes": 10, "target": ["age"]}).train.passes
        10
    """
    method = ALIASES.get(method, method)
    parts = parts_of(method)
    known = [f.name for part in parts for f in fields(part)]
    for key in values:
        if key not in known:
            raise ConfigError(f"there is no setting {key!r} for method {method!r}.{nearest(key, known)}")
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    try:
        found = vars(build_parser(parts, "isotone fit", {}).parse_object(plain))
    except ArgumentError as error:
        raise ConfigError(_worded(str(error), known, "isotone fit")) from error
    own, data, train, net, head = (part(**{f.name: found[f.name] for f in fields(part)}) for part in parts)
    return Settings(method, own, data, train, net, head)


def flag_value(arguments: Sequence[str], flag: str) -> str | None:
    """Return a flag's value before it is known which flags there are, or None; the last one counts.

    Args:
        arguments: as typed.
        flag: with its hyphens.

    Example:
        >>> flag_value(["t.csv", "--method", "rnc", "--method=baseline"], "--method")
        'baseline'
    """
    found = None
    for word, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if word == flag or word.startswith(f"{flag}="):
            found = following if word == flag else word.partition("=")[2]
    return found


def table_or_root(values: Mapping[str, Any], verb: str, prefix: str = "") -> str:
    """Return what a verb of the command line is to read: its table, or the folder of a data set.

    Args:
        values: parsed, with `table`, `root` and `dataset`.
        verb: for the message.
        prefix: of the flags, for the message: `to-` of a second table.

    Raises:
        ConfigError: neither is given, or both, or a root without a dataset.
    """
    table, root, dataset = values["table"], values["root"], values["dataset"]
    if root is not None and (table is not None or dataset is None):
        raise ConfigError(
            f"--{prefix}root {root} is the folder of a data set: it goes with --{prefix}dataset, without a table. "
            "`isotone datasets` lists them."
        )
    if table is None and root is None:
        name = f"--{prefix}dataset {dataset} --{prefix}root FOLDER"
        where = f"isotone {verb} TABLE --target COLUMN" if dataset is None else name
        noun = "which table?" if dataset is None else "where is the data set?"
        raise ConfigError(f"{noun} Say: {where}. `isotone {verb} --help` says more.")
    return str(table if root is None else root)


def filled_in(settings: Settings) -> Settings:
    """Return settings with what the card of their data set says: its columns, and augmentations that suit it.

    Args:
        settings: those without a data set stay as they are.

    Raises:
        ConfigError: an augmentation is named that changes the target of the data set.
    """
    if settings.data.dataset is None:
        return settings
    from isotone.data.datasets.reading import suited_augment, with_columns

    net = replace(settings.net, augment=suited_augment(settings.data, settings.net.augment))
    return replace(settings, data=with_columns(settings.data), net=net)


def with_card(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return named values, as `resolve` takes them, with those that `filled_in` changes.

    Args:
        values: flat mapping of settings.

    Raises:
        ConfigError: an unknown data set, settings of the data that are wrong, and as `filled_in`.

    Example:
        >>> with_card({"dataset": "mpii-face-gaze", "passes": 3})["augment"]
        ['light']
        >>> with_card({"target": ["y"]})
        {'target': ['y']}
    """
    own = {f.name for f in fields(DataSettings)} | {"augment"}
    given = resolve("baseline", {name: value for name, value in values.items() if name in own})
    before, after = given.flat(), filled_in(given).flat()
    return {**values, **{name: value for name, value in after.items() if value != before[name]}}


def with_recipe(words: Sequence[str]) -> list[str]:
    """Return a command line with `--recipe NAME` written as `--config NAME`, for a recipe that there is.

    Raises:
        ConfigError: no such recipe, with the nearest; or a config beside it.
    """
    name = flag_value(words, "--recipe")
    if name is None:
        return list(words)
    names = recipes()
    if name not in names:
        raise ConfigError(f"there is no recipe {name!r}.{nearest(name, names)} There are: {', '.join(sorted(names))}.")
    if flag_value(words, "--config") is not None:
        raise ConfigError("--recipe and --config are both settings to start from. Give one; flags win over it.")
    place = max(i for i, word in enumerate(words) if word.split("=")[0] == "--recipe")
    rest = words[place + 1 :] if "=" in words[place] else words[place + 2 :]
    return [*words[:place], "--config", name, *rest]


def recipes() -> dict[str, Path]:
    """Return the recipes that come with isotone, by name: those in the package, or beside it in a checkout."""
    here = Path(__file__).parent
    folders = (here / "recipes", here.parents[1] / "recipes")
    return {path.stem: path for folder in folders for path in folder.glob("*.yaml")}


def only_known(values: Mapping[str, Any], parts: Sequence[type[Any]], source: str) -> dict[str, Any]:
    """Return the settings of a file that these parts know; those of other methods and verbs are left out.

    So one recipe serves `check`, `fit --method rnc` and `fit --method baseline`.

    Args:
        values: of the file.
        parts: dataclasses of settings.
        source: the file's name, for the message.

    Raises:
        ConfigError: for a name that no method and no verb knows, with the nearest.
    """
    mine = {f.name for part in parts for f in fields(part)}
    anyones = {f.name for method in METHODS for part in parts_of(method) for f in fields(part)} | {"method"}
    for key in values:
        if key not in anyones:
            raise ConfigError(f"{source} names {key!r}, which is no setting.{nearest(str(key), anyones)}")
    return {key: value for key, value in values.items() if key in mine}


def read_config(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file of settings holds; the name of a recipe stands for its file.

    Raises:
        ConfigError: where the file is missing, is no YAML, or holds no mapping.
    """
    import yaml

    path = path if path.exists() else recipes().get(str(path), path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the config {path}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())[:200]}.") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold settings as `name: value` lines, got {type(values).__name__}.")
    return values


# ----------------------------------------------------------------------------------------------------------------------


def _plain(arguments: Sequence[str], parts: Sequence[type[Any]]) -> list[str]:
    """Turn what people type into what is parsed: `--image-column`, `--target a,b`, a bare `--pretrained`."""
    hints = {key: hint for part in parts for key, hint in get_type_hints(part).items()}
    result: list[str] = []
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        key = flag[2:].replace("-", "_")
        if argument.startswith("--"):
            following = arguments[place + 1].lower() if place + 1 < len(arguments) else ""
            if hints.get(key) is bool and not equals and following not in ("true", "false"):
                equals, value = "=", "true"
            value = _listed(value, hints.get(key)) if equals else value
            result.append(f"--{key}{equals}{value}")
        elif result and result[-1].startswith("--"):
            result.append(_listed(argument, hints.get(result[-1][2:])))
        else:
            result.append(argument)
    return result


def _listed(value: str, hint: object) -> str:
    if hint == NUMBERS and not value.startswith("["):
        return f"[{value}]"
    return value if value.startswith("[") or hint != LIST else json.dumps([x for x in value.split(",") if x])


def _worded(message: str, known: Sequence[str], prog: str) -> str:
    """Bring jsonargparse's text to one sentence: which setting, what was expected, what came."""
    prefix = "unrecognized arguments: "
    if message.startswith(prefix):
        first = message.removeprefix(prefix).split()[0].split("=")[0]
        if not first.startswith("--"):
            return f"did not expect {first!r}. Settings are flags with two hyphens: `{prog} --help` lists them."
        flags = [f"--{name.replace('_', '-')}" for name in known]
        given = first.replace("_", "-")
        return f"there is no flag {given!r}.{nearest(given, flags)} `{prog} --help` lists them."
    text = " ".join(message.split()).replace("typing.", "").replace("Parser key ", "setting ")
    text = text.replace("Expected a <class ", "expected ").replace(">. Got value:", ", got")
    text = text.replace("Expected a ", "expected ").replace(". Got value:", ", got")
    text = re.sub(r"Literal\[([^\]]*)\]", lambda found: f"one of {found[1].replace(chr(39), '')}", text)
    return f"{text.rstrip('.')}. `{prog} --help` lists the settings."
