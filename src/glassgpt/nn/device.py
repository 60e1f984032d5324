"""Which device; decided here once, from outside the model."""

from __future__ import annotations

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
