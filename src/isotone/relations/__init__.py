"""Relations: the distance between samples in label space, `(anchor tags, other tags) -> (n, m) >= 0`; 0 = the same."""

from isotone.relations.instance import same_instance as same_instance
from isotone.relations.label import circular as circular
from isotone.relations.label import l1 as l1
from isotone.relations.label import l2 as l2
from isotone.relations.label import same_category as same_category
from isotone.relations.label import target_distance as target_distance
from isotone.relations.label import target_relation as target_relation
