"""isotone: representations whose distances follow the order of the targets, and predictors on top of them.

`audit`, `fit`, `compare`, `resume` and `load` are the verbs; `isotone.losses` holds the losses for anyone's own
training loop.
Importing the package computes nothing and imports nothing heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isotone.api import audit as audit
    from isotone.api import fit as fit
    from isotone.api import load as load
    from isotone.api import resume as resume
    from isotone.run import Run as Run
    from isotone.studies.compare import compare as compare

_VERBS = ("Run", "audit", "fit", "load", "resume")
_HOMES = {**dict.fromkeys(_VERBS, "isotone.api"), "compare": "isotone.studies.compare"}

__all__ = ["Run", "audit", "compare", "fit", "load", "resume"]


def __getattr__(name: str) -> object:
    """Import the verbs when they are first asked for: torch takes seconds, `isotone --help` should not."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'isotone' has no attribute {name!r}; it has {', '.join(_HOMES)}")
