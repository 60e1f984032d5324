"""Chatting: a conversation in, the assistant's next words out, as they come.

How messages become tokens is data/chat.py, what is typed and shown is the command's affair. Only `reply`
draws tokens. An engine that is kept from turn to turn does not read again what was said before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import takewhile
from typing import NamedTuple

from glassgpt.data import ChatTemplate, Message
from glassgpt.errors import UserError
from glassgpt.generate.engine import Engine
from glassgpt.generate.request import Request
from glassgpt.generate.sampling import SamplingParams
from glassgpt.generate.text import stream_text
from glassgpt.models import Model
from glassgpt.tokenizers import Tokenizer

REPLY_SHARE = 4
"""A reply has room for at least one in so many of the tokens that the model sees, where it may be as long."""


class Seen(NamedTuple):
    """What a model sees of a conversation: the tokens before its reply, and how many messages it does not."""

    ids: list[int]
    n_dropped: int


def reply(
    model: Model | Engine,
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    params: SamplingParams | None = None,
    *,
    max_new_tokens: int = 500,
    seed: int | None = None,
) -> Iterator[str]:
    """What the assistant says next, in pieces of text, until it ends its turn.

    It is cut after `max_new_tokens`, and where the model's block ends. Of a conversation that is too long
    the oldest turns are dropped, as `seen` says. The same seed gives the same words.
    """
    engine = model if isinstance(model, Engine) else Engine(model, max_batch=1)
    before = seen(engine.model, tokenizer, messages, max_new_tokens).ids
    room = engine.model.config.block_size - len(before) + 1  # the last token is not read again
    request = Request(before, params or SamplingParams(), min(max_new_tokens, room), seed)
    specials = set(tokenizer.specials.values())  # `<end>`, or what else is no word: it is another's turn
    with closing(engine.stream(request)) as tokens:
        ids = takewhile(lambda id: id not in specials, (token.id for token in tokens))
        yield from stream_text(tokenizer, ids)


def seen(model: Model, tokenizer: Tokenizer, messages: Sequence[Message], max_new_tokens: int = 500) -> Seen:
    """The newest turns that fit, after the system message.

    Whole turns are dropped, the oldest first, until a quarter of the block, or `max_new_tokens`, is left for
    the reply. Raises UserError where the last message alone is longer than the model can see.
    """
    template, block_size = ChatTemplate(tokenizer), model.config.block_size
    n_head = sum(message.role == "system" for message in messages[:1])
    head, rest = list(messages[:n_head]), list(messages[n_head:])
    wanted = block_size - min(max_new_tokens, block_size // REPLY_SHARE)
    ids, n_dropped = template.prompt([*head, *rest]), 0
    while len(ids) > wanted and (n := _oldest_turn(rest)):
        rest, n_dropped = rest[n:], n_dropped + n
        ids = template.prompt([*head, *rest])
    if len(ids) > block_size:
        with_it = " with the system message" if head else ""
        raise UserError(
            f"the message takes {len(ids):,} tokens{with_it}, and the model sees {block_size:,} at once; say "
            "it in fewer words, or train a model with a larger --block-size"
        )
    return Seen(ids, n_dropped)


def _oldest_turn(messages: Sequence[Message]) -> int:
    """How many messages the oldest turn has; 0 where it is the only one."""
    for i in range(1, len(messages)):
        if messages[i].role == "user" and messages[i - 1].role == "assistant":
            return i
    return 0
