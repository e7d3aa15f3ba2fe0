"""Every loss of the family: a pure function, and below it in the same file its `nn.Module` twin."""

from isotone.losses.rnc import RnCLoss as RnCLoss
from isotone.losses.rnc import rnc as rnc
from isotone.losses.rnc import rnc_floor as rnc_floor
