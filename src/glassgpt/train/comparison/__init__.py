"""Fair comparisons: settings trained in pairs that share their seeds."""

from glassgpt.train.comparison.answers import compare, compared, plan_comparison, plan_sweep, sweep, swept
from glassgpt.train.comparison.arms import Spec, settings_of
from glassgpt.train.comparison.experiment import Experiment, TrialBegan, TrialMeasured
from glassgpt.train.comparison.samplers import compare_samplers, sampler_in_words

__all__ = [
    "Experiment",
    "Spec",
    "TrialBegan",
    "TrialMeasured",
    "compare",
    "compare_samplers",
    "compared",
    "plan_comparison",
    "plan_sweep",
    "sampler_in_words",
    "settings_of",
    "sweep",
    "swept",
]
