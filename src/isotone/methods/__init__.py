"""The one list of methods: name on the command line, class. A new method is its file, its test and a line here."""

from isotone.errors import ConfigError, nearest
from isotone.methods.baseline import Baseline as Baseline
from isotone.methods.rnc import RnC as RnC
from isotone.records import Method

METHODS: dict[str, type[Method]] = {"rnc": RnC, "baseline": Baseline}
ALIASES = {"supcr": "rnc"}  # the name of the first preprint


def method_class(name: str) -> type[Method]:
    """Return the method's class.

    Raises:
        ConfigError: for an unknown name, with the nearest one.

    Example:
        >>> method_class("supcr").__name__
        'RnC'
    """
    found = METHODS.get(ALIASES.get(name, name))
    if found is None:
        close = nearest(name, [*METHODS, *ALIASES])
        raise ConfigError(f"there is no method {name!r}; there are {', '.join(METHODS)}.{close}")
    return found
