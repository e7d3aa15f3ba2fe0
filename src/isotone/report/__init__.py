"""One offline HTML page that shows what a run learnt, how far its numbers can be trusted, and how to make it again."""

from isotone.report.page import write_report as write_report
