"""The scheduler of an engine: its requests and their slots, changed in transactions.

A transaction that fails, or is interrupted, is rolled back: each text gets its earlier length, and all slots
are emptied. The next step prefills the texts again, which takes time and changes no token.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from glassgpt.generate.request import Request
from glassgpt.generate.sequence import ActiveSequence
from glassgpt.generate.slots import Decoder, common_prefix


@dataclass(frozen=True)
class Savepoint:
    """The state before a transaction, as lengths of texts."""

    n_requests: int
    first_waiting: int
    """Id of the first request without a token; requests start in the order of their ids."""
    active: list[tuple[ActiveSequence, int, int]]
    """Active sequences with `len(ids)` and `start`."""


class Scheduler:
    """Queue, prefill and active sequences over the slots of a decoder.

    A sequence that is no longer in `sequences`, or has an error, leaves its slot with the next transaction.
    `active` has slots 0 … n − 1, `prefilling` slot n. Idle slots keep their texts, for their prefixes.
    """

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.sequences: dict[int, ActiveSequence] = {}
        """All that are neither cancelled nor completely fetched, by request id."""
        self.queue: deque[ActiveSequence] = deque()
        self.prefilling: ActiveSequence | None = None
        self.active: list[ActiveSequence] = []
        self._n_requests = 0
        self._savepoint: Savepoint | None = None
        self.in_transaction = False

    @property
    def half_context(self) -> int:
        """Number of tokens that stay visible when the context slides."""
        return max(1, self.decoder.max_len // 2)

    @property
    def is_busy(self) -> bool:
        """True if any request is unfinished."""
        return any(not each.ended for each in self.sequences.values())

    @property
    def idle_slots(self) -> range:
        """Slots of no sequence."""
        return range(len(self.active) + (self.prefilling is not None), self.decoder.max_batch)

    @property
    def needs_rollback(self) -> bool:
        """True after an interrupted rollback; the next transaction completes it."""
        return self._savepoint is not None and not self.in_transaction

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Free the slots of ended sequences, then do the block; roll all of it back after an exception.

        Raises RuntimeError inside of another transaction, as when a hook of the model calls the engine.
        """
        if self.in_transaction:
            raise RuntimeError("the engine is busy with a step; call it after the step")
        self._roll_back()
        self._savepoint = self._make_savepoint()
        try:
            self.in_transaction = True
            self._remove_ended()
            yield
            self._savepoint = None
        finally:
            self.in_transaction = False
            self._roll_back()

    def _make_savepoint(self) -> Savepoint:
        first = self.prefilling or next(iter(self.queue), None)
        return Savepoint(
            self._n_requests,
            first.request_id if first else self._n_requests + 1,
            [(sequence, len(sequence.ids), sequence.start) for sequence in self.active],
        )

    def _roll_back(self) -> None:
        """Restore the savepoint, if there is one. May be interrupted at any point and run again."""
        if (before := self._savepoint) is None:
            return
        for id in [id for id in self.sequences if id > before.n_requests]:
            del self.sequences[id]
        waiting = [each for id, each in self.sequences.items() if id >= before.first_waiting]
        for sequence in waiting:
            sequence.rewind(len(sequence.request.prompt), 0)
        for sequence, n_ids, start in before.active:
            sequence.rewind(n_ids, start)
        self.queue = deque(each for each in waiting if not each.ended)
        self.prefilling = None
        self.active = [sequence for sequence, *_ in before.active if self._is_live(sequence)]
        for slot in range(self.decoder.max_batch):
            self.decoder.set_memory(slot, None)  # empties the slot
        for slot, sequence in enumerate(self.active):
            if sequence.request.memory is not None:
                self.decoder.set_memory(slot, sequence.request.memory)
        self._savepoint = None

    def _is_live(self, sequence: ActiveSequence) -> bool:
        return sequence.request_id in self.sequences and not sequence.ended

    def add(self, request: Request) -> ActiveSequence:
        """Queue a request that `check_request` returned."""
        self._n_requests += 1
        seed = random.SystemRandom().getrandbits(64) if request.seed is None else request.seed
        sequence = ActiveSequence(self._n_requests, request, self.decoder.model.n_vocab, seed)
        self.sequences[sequence.request_id] = sequence
        self.queue.append(sequence)
        return sequence

    def _remove_ended(self) -> None:
        """Free the slots of requests that were cancelled or cannot go on."""
        if self.prefilling is not None and not self._is_live(self.prefilling):
            self.prefilling = None
        for slot in reversed(range(len(self.active))):
            if not self._is_live(self.active[slot]):
                self.free(slot)
        while self.queue and not self._is_live(self.queue[0]):
            self.queue.popleft()

    def free(self, slot: int) -> None:
        """Remove an active sequence and move the last one into its slot.

        So slots 0 … n − 1 stay the active ones. The slot keeps its text, so that a later request with the
        same prefix can reuse it.
        """
        last = len(self.active) - 1
        if slot != last:
            self.decoder.swap(slot, last)
            self.active[slot] = self.active[last]
        if self.prefilling is not None:  # in the slot after the last
            self.decoder.swap(last, last + 1)
        self.active.pop()

    def next_to_prefill(self) -> tuple[ActiveSequence | None, int]:
        """Return the sequence in prefill, with the number of tokens that a cached prefix saves it.

        The next one of the queue starts if there is a free slot; None without a sequence or a slot. A prompt
        longer than the context is cut to its last half context.
        """
        self._remove_ended()
        if self.prefilling is not None or not self.queue or len(self.active) >= self.decoder.max_batch:
            return self.prefilling, 0
        sequence = self.queue.popleft()
        if len(sequence.ids) > self.decoder.max_len:
            sequence.start = len(sequence.ids) - self.half_context
        n = self._reuse_prefix(len(self.active), sequence)
        self.prefilling = sequence
        return sequence, n

    def _reuse_prefix(self, slot: int, sequence: ActiveSequence) -> int:
        """Start a slot with the longest cached prefix of a prompt; return its length."""
        decoder, memory = self.decoder, sequence.request.memory
        prompt = sequence.ids[sequence.start : -1]
        shared = {
            i: common_prefix(text, prompt)
            for i, text in enumerate(decoder.texts)
            if decoder.memories[i] is memory
        }
        source = max(shared, key=lambda i: (shared[i], i), default=slot)
        n = shared.get(source, 0)
        if n and source > slot:
            decoder.swap(source, slot)
        elif n and source < slot:
            decoder.copy(source, slot, n)
        if n:
            decoder.truncate(slot, n)
        else:
            decoder.set_memory(slot, memory)
        return n

    def activate(self) -> int:
        """Make the sequence in prefill an active one; return its slot."""
        assert self.prefilling is not None
        self.active.append(self.prefilling)
        self.prefilling = None
        return len(self.active) - 1
