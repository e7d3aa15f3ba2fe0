"""Training that can be trusted: exact resume, atomic checkpoints, honest stops. It knows no method by name."""

from isotone.train.cached import Cached as Cached
from isotone.train.cached import cached_backward as cached_backward
