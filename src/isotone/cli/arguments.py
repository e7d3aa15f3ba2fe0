"""argparse, with isotone's wording of mistakes."""

import argparse
from typing import NoReturn

from isotone.errors import ConfigError, nearest

DATASET = {  # what every verb that reads a table takes in place of one, and its help
    "--root": "Folder of a published data set, as downloaded; with --dataset, in place of the table.",
    "--recipe": "Name of a recipe that comes with isotone, such as rnc-agedb; short for --config with its file.",
}


class Arguments(argparse.ArgumentParser):
    """An argument parser whose mistakes are a ConfigError that names the nearest flag.

    Args:
        verb: the part of the command line it reads.
        description: first line of the help.

    Example:
        >>> parser = Arguments("predict", "Predict new rows.")
        >>> _ = parser.add_argument("--out")
        >>> parser.read(["--oot", "x"])
        Traceback (most recent call last):
        isotone.errors.ConfigError: there is no flag '--oot'. Did you mean '--out'? `isotone predict --help` lists them.
    """

    def __init__(self, verb: str, description: str) -> None:
        super().__init__(prog=f"isotone {verb}", description=description, allow_abbrev=False)

    def read(self, words: list[str]) -> argparse.Namespace:
        """Return the values of the flags `words`.

        Raises:
            ConfigError: unknown flags, missing or wrong values.
        """
        found, unknown = self.parse_known_args(words)
        if unknown:
            flags = [option for action in self._actions for option in action.option_strings]
            first = unknown[0].split("=")[0]
            raise ConfigError(f"there is no flag {first!r}.{nearest(first, flags)} `{self.prog} --help` lists them.")
        return found

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print and exit with."""
        raise ConfigError(f"{message}. `{self.prog} --help` says more.")
