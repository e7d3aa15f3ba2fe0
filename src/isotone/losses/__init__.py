"""Every loss of the family: a pure function, and below it in the same file its `nn.Module` twin."""

from isotone.losses.info_nce import InfoNCELoss as InfoNCELoss
from isotone.losses.info_nce import info_nce as info_nce
from isotone.losses.nce import NCELoss as NCELoss
from isotone.losses.nce import PIRLNCELoss as PIRLNCELoss
from isotone.losses.nce import nce as nce
from isotone.losses.nce import pirl_nce as pirl_nce
from isotone.losses.rnc import RnCLoss as RnCLoss
from isotone.losses.rnc import rnc as rnc
from isotone.losses.rnc import rnc_floor as rnc_floor
from isotone.losses.supcon import SupConLoss as SupConLoss
from isotone.losses.supcon import supcon as supcon
