"""Progress on the learning path, with its notes on the terminal."""

from __future__ import annotations

from functools import partial

from glassgpt import explain
from glassgpt.cli.view.terminal import print_note

finished_steps = partial(explain.finished_steps, print_note)
record_step = partial(explain.record_step, tell=print_note)
record_use = partial(explain.record_use, tell=print_note)
forget_steps = partial(explain.forget_steps, print_note)
