"""Device, dtype and environment of a computation, chosen outside the model."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from glassgpt.errors import UserError


def choose_device(name: str = "auto", local_rank: int = 0) -> torch.device:
    """`auto` is cuda, else mps, else cpu. Raises UserError for a device that torch does not know or have.

    local_rank: the number of this process on its machine; each takes a GPU of its own.
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
        raise UserError(
            f"device {name!r} cannot be used here ({reason}): try --device auto or cpu"
        ) from error
    return device


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 on a GPU that computes in it, else float32: most CPUs are slower in bfloat16."""
    if name == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def environment(
    device: torch.device, dtype: torch.dtype, processes: int = 1, compiled: bool = False
) -> dict[str, str]:
    """All that decides the last bits of a sum besides the configuration: same scope, same weights."""
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "arithmetic": str(dtype).removeprefix("torch."),
        "threads": str(torch.get_num_threads()),
        "processes": str(processes),
        "compiled": "yes" if compiled else "no",
        "capability": torch.backends.cpu.get_cpu_capability(),
    }


def environment_changes(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """What differs from where a run was trained so far, and what that means; nothing where nothing does.

    >>> environment_changes({"torch": "2.12"}, {"torch": "2.13", "threads": "2"})[0][:31]
    'not as before: torch 2.12 → 2.1'
    """
    changed = [
        f"{name} {before[name]} → {now[name]}" for name in now if before.get(name, now[name]) != now[name]
    ]
    if not changed:
        return []
    return [
        f"not as before: {', '.join(changed)}. The run goes on as well, but its weights will equal those of "
        "an unbroken run only up to rounding, not to the bit"
    ]


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager:
    """The context of a forward pass: weights stay float32, the products run in `dtype`."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype)
