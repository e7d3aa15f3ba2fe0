"""Every loss of the family: a pure function, and below it in the same file its `nn.Module` twin."""

from isotone.losses.contrastive import ContrastiveLoss as ContrastiveLoss
from isotone.losses.contrastive import contrastive as contrastive
from isotone.losses.contrastive import contrastive_output as contrastive_output
from isotone.losses.info_nce import InfoNCELoss as InfoNCELoss
from isotone.losses.info_nce import info_nce as info_nce
from isotone.losses.lifted import LiftedLoss as LiftedLoss
from isotone.losses.lifted import lifted as lifted
from isotone.losses.lifted import lifted_output as lifted_output
from isotone.losses.n_pair import NPairLoss as NPairLoss
from isotone.losses.n_pair import n_pair as n_pair
from isotone.losses.nce import NCELoss as NCELoss
from isotone.losses.nce import PIRLNCELoss as PIRLNCELoss
from isotone.losses.nce import nce as nce
from isotone.losses.nce import pirl_nce as pirl_nce
from isotone.losses.rnc import RnCLoss as RnCLoss
from isotone.losses.rnc import rnc as rnc
from isotone.losses.rnc import rnc_floor as rnc_floor
from isotone.losses.rnc import rnc_output as rnc_output
from isotone.losses.supcon import SupConLoss as SupConLoss
from isotone.losses.supcon import supcon as supcon
from isotone.losses.supcon import supcon_output as supcon_output
from isotone.losses.triplet import TripletLoss as TripletLoss
from isotone.losses.triplet import triplet as triplet
from isotone.losses.triplet import triplet_output as triplet_output
