"""Verification of a run: every byte, or only names and sizes."""

from glassgpt.checkpoint.verify.health import RunHealth, StepHealth
from glassgpt.checkpoint.verify.run_files import check_data
from glassgpt.checkpoint.verify.verify import check_step, quick_check, verify_run

__all__ = ["RunHealth", "StepHealth", "check_data", "check_step", "quick_check", "verify_run"]
