"""The arithmetic of contrast: similarities, the one function behind every contrastive loss, and its fast forms."""

from isotone.core.contrast import contrast as contrast
from isotone.core.contrast import floor as floor
from isotone.core.nce import noise_contrast as noise_contrast
from isotone.core.similarity import SIMILARITIES as SIMILARITIES
from isotone.core.similarity import cosine as cosine
from isotone.core.similarity import dot as dot
from isotone.core.similarity import negative_l2 as negative_l2
