"""The gain that training itself would bring: a bound for the gains that count as findings."""

from __future__ import annotations

import warnings

import torch

import glassgpt as gg
from glassgpt.config import ModelConfig
from glassgpt.doctor import Subject
from glassgpt.doctor.gains import _gain_of_training


def test_it_is_measured_without_a_warning_of_torch() -> None:
    torch.manual_seed(0)
    model = gg.build(ModelConfig(n_layer=1, n_head=2, n_embd=16, block_size=16), 24)
    subject = Subject(model, torch.randint(0, 24, (8, 16)))
    torch.set_warn_always(True)  # otherwise torch warns once in a process
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert _gain_of_training(subject) >= 0
    finally:
        torch.set_warn_always(False)
