"""Optimizers: Muon for matrices, SparseRMSprop for n-gram tables, AdamW for the rest."""

from glassgpt.train.optim.clipping import clip_gradients
from glassgpt.train.optim.muon import Muon, orthogonalize
from glassgpt.train.optim.registry import OPTIMIZERS, OptimizerSpec, current_lrs, make_optimizers, set_lr
from glassgpt.train.optim.sparse_rmsprop import SparseRMSprop
from glassgpt.train.optim.state import load_state_tensors, state_tensors

__all__ = [
    "OPTIMIZERS",
    "Muon",
    "OptimizerSpec",
    "SparseRMSprop",
    "clip_gradients",
    "current_lrs",
    "load_state_tensors",
    "make_optimizers",
    "orthogonalize",
    "set_lr",
    "state_tensors",
]
