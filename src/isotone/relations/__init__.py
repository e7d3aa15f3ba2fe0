"""Relations: the distance between samples in label space, `(anchor tags, other tags) -> (n, m) >= 0`; 0 = the same."""

from isotone.relations.combine import mixed as mixed
from isotone.relations.combine import partial as partial
from isotone.relations.combine import weighted as weighted
from isotone.relations.instance import same_instance as same_instance
from isotone.relations.label import same_category as same_category
from isotone.relations.label import target_relation as target_relation
from isotone.relations.modality import same_pair as same_pair
from isotone.relations.target import angular as angular
from isotone.relations.target import circular as circular
from isotone.relations.target import l1 as l1
from isotone.relations.target import l2 as l2
from isotone.relations.target import target_distance as target_distance
from isotone.relations.time import neighbours as neighbours
