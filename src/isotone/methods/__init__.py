"""The list of methods. A new one is its file, its test and a line here; its name is that of its file, with hyphens."""

from isotone.errors import ConfigError, nearest
from isotone.methods.baseline import Baseline as Baseline
from isotone.methods.clusterfit import ClusterFit as ClusterFit
from isotone.methods.cmixup import CMixup as CMixup
from isotone.methods.cpc import CPC as CPC
from isotone.methods.distill import Distill as Distill
from isotone.methods.fds import FDS as FDS
from isotone.methods.jigsaw import Jigsaw as Jigsaw
from isotone.methods.joint import Joint as Joint
from isotone.methods.lds import LDS as LDS
from isotone.methods.moco import MoCo as MoCo
from isotone.methods.npid import NPID as NPID
from isotone.methods.ordinal_entropy import OrdinalEntropy as OrdinalEntropy
from isotone.methods.paired import Paired as Paired
from isotone.methods.pirl import PIRL as PIRL
from isotone.methods.ranksim import RankSim as RankSim
from isotone.methods.rnc import RnC as RnC
from isotone.methods.rotation import Rotation as Rotation
from isotone.methods.simclr import SimCLR as SimCLR
from isotone.methods.supcon import SupCon as SupCon
from isotone.methods.temporal import Temporal as Temporal
from isotone.records import Method

METHODS: dict[str, type[Method]] = {
    found.__module__.removeprefix(f"{__name__}.").replace("_", "-"): found
    for found in list(vars().values())
    if isinstance(found, type) and found.__module__.startswith(f"{__name__}.")
}
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
