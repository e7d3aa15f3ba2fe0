"""The flags of studies: what each says, and how its text becomes a value."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from isotone.errors import ConfigError


@dataclass(frozen=True)
class Flag:
    """A flag of one study: its help, and from (name, text) to its value."""

    text: str
    read: Callable[[str, str], Any]


def words(name: str, text: str) -> tuple[str, ...]:
    """Return the parts between commas.

    Example:
        >>> words("arms", "baseline, rnc lr=0.5")
        ('baseline', 'rnc lr=0.5')
    """
    del name
    return tuple(part.strip() for part in text.split(",") if part.strip())


def numbers(name: str, text: str) -> tuple[float, ...]:
    """Return the numbers between commas.

    Raises:
        ConfigError: a part that is no number.
    """
    try:
        return tuple(float(part) for part in words(name, text))
    except ValueError:
        raise ConfigError(f"`{name}` must be numbers with commas between them, got {text!r}.") from None


def whole(name: str, text: str) -> int:
    """Return one whole number.

    Raises:
        ConfigError: the text is none.
    """
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"`{name}` must be a whole number, got {text!r}.") from None


def plain(name: str, text: str) -> str:
    """Return the text."""
    del name
    return text
