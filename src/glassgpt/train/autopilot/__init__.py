"""The autopilot: it chooses the settings of a training and forecasts its held-out loss."""

from glassgpt.train.autopilot.choice import Choice, Chooser, Length
from glassgpt.train.autopilot.facts import TextFacts, TokenCount
from glassgpt.train.autopilot.forecast import Forecast, Forecaster
from glassgpt.train.autopilot.law import Law, curve_inputs, inputs, the_law
from glassgpt.train.autopilot.pilot import ORIGIN, Decision, chosen_layer, decide, decides
from glassgpt.train.autopilot.recipe import Recipe
from glassgpt.train.autopilot.refinement import Residuals, refine

__all__ = [
    "ORIGIN",
    "Choice",
    "Chooser",
    "Decision",
    "Forecast",
    "Forecaster",
    "Law",
    "Length",
    "Recipe",
    "Residuals",
    "TextFacts",
    "TokenCount",
    "chosen_layer",
    "curve_inputs",
    "decide",
    "decides",
    "inputs",
    "refine",
    "the_law",
]
