"""Reports: one HTML file about a run, in words first, whose numbers can be computed again."""

from glassgpt.reports.check import Difference, check_report
from glassgpt.reports.page import RunReport, report
from glassgpt.reports.result import read_forecasts

__all__ = ["Difference", "RunReport", "check_report", "read_forecasts", "report"]
