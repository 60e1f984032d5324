"""Device, dtype and environment of a computation, chosen outside the model."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.ram import memory_bytes


def choose_device(name: str = "auto", local_rank: int = 0) -> torch.device:
    """Return a device by name; `auto` is cuda, else mps, else cpu.

    local_rank: the number of this process on its machine; each process gets its own GPU. Raises UserError for
    a device that torch does not know or have.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", local_rank % torch.cuda.device_count())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        if len(reason) > 200:  # torch lists all that it was built with
            reason = N_("this torch has no {name}", name=name.partition(":")[0])
        raise UserError(
            "`device` {name!r} cannot be used here ({reason}). Use 'auto' or 'cpu'.", name=name, reason=reason
        ) from error
    return device


def memory_of(device: torch.device) -> int:
    """Return the bytes of a GPU, or of RAM that this process may use."""
    return torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else memory_bytes()


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return a dtype by name; `auto` is bfloat16 on a GPU that supports it, else float32.

    Most CPUs are slower in bfloat16.
    """
    if name == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


FACTS = (N_("device"), N_("arithmetic"), N_("threads"), N_("processes"), N_("compiled"), N_("capability"))
"""Names of the facts of an environment, besides torch."""


def environment(
    device: torch.device, dtype: torch.dtype, threads: str, processes: int = 1, compiled: bool = False
) -> dict[str, str]:
    """Return the facts besides the configuration that decide the last bits of a sum.

    The same configuration in the same environment gives the same weights, if its length is in steps. threads:
    their number, or "adapted".
    """
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "arithmetic": str(dtype).removeprefix("torch."),
        "threads": threads,
        "processes": str(processes),
        "compiled": "yes" if compiled else "no",
        "capability": torch.backends.cpu.get_cpu_capability(),
    }


def environment_changes(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Compare two environments; return one sentence about the changes, or nothing.

    >>> environment_changes({"torch": "2.12"}, {"torch": "2.13", "threads": "2"})[0][:33]
    'environment changed: torch 2.12 →'
    """
    changed = [
        f"{name} {before[name]} → {now[name]}" for name in now if before.get(name, now[name]) != now[name]
    ]
    if not changed:
        return []
    return [
        N_(
            "environment changed: {changes}. Training continues, but the weights will match "
            "an uninterrupted run only up to rounding, not bit for bit.",
            changes=", ".join(changed),
        )
    ]


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager:
    """Return the context of a forward pass: float32 weights, products in `dtype`."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype)
