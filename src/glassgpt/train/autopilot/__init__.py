"""The autopilot: it chooses the settings of a training and forecasts its held-out loss."""

from glassgpt.train.autopilot.choice import Choice, Chooser, Length
from glassgpt.train.autopilot.decision import (
    ORIGIN,
    Decision,
    chosen_layer,
    decide,
    decides,
    with_early_end,
)
from glassgpt.train.autopilot.facts import TextFacts, TokenCount
from glassgpt.train.autopilot.forecast import Forecast, Forecaster
from glassgpt.train.autopilot.held_out_profile import HeldOutProfile
from glassgpt.train.autopilot.recipe import Recipe
from glassgpt.train.autopilot.refinement import Residuals, refine
from glassgpt.train.autopilot.scaling_law import ScalingLaw, curve_inputs, law_inputs, load_scaling_law

__all__ = [
    "ORIGIN",
    "Choice",
    "Chooser",
    "Decision",
    "Forecast",
    "Forecaster",
    "HeldOutProfile",
    "Length",
    "Recipe",
    "Residuals",
    "ScalingLaw",
    "TextFacts",
    "TokenCount",
    "chosen_layer",
    "curve_inputs",
    "decide",
    "decides",
    "law_inputs",
    "load_scaling_law",
    "refine",
    "with_early_end",
]
