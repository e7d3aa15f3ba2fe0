"""Candidates: what each anchor is compared with. A source changes only in an explicit update, never inside a loss."""

from isotone.candidates.bank import Bank as Bank
from isotone.candidates.batch import batch_candidates as batch_candidates
from isotone.candidates.gather import gather as gather
from isotone.candidates.queue import Queue as Queue
