"""Chat: from a conversation to the assistant's reply, streamed.

`ChatTemplate` (glassgpt.data) turns messages into tokens; the command handles input and output. Only `reply`
samples. An engine kept between turns reuses the prefix of the conversation.
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
from glassgpt.language import N_
from glassgpt.models import Model
from glassgpt.tokenizers import Tokenizer

REPLY_SHARE = 4
"""A reply gets at least 1 / REPLY_SHARE of the context, unless `max_new_tokens` is less."""


class ChatPrompt(NamedTuple):
    """The visible part of a conversation, as tokens."""

    ids: list[int]
    """Tokens before the reply."""
    n_dropped: int
    """Number of messages left out."""


def reply(
    model: Model | Engine,
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    params: SamplingParams | None = None,
    *,
    max_new_tokens: int = 500,
    seed: int | None = None,
) -> Iterator[str]:
    """Yield the assistant's reply, piece by piece, until it ends its turn.

    The reply is cut after `max_new_tokens`, and at the end of the context. `chat_prompt` drops the oldest
    turns of a conversation that does not fit. The same seed gives the same reply.
    """
    engine = model if isinstance(model, Engine) else Engine(model, max_batch=1)
    prompt = chat_prompt(engine.model, tokenizer, messages, max_new_tokens).ids
    room = engine.model.config.block_size - len(prompt) + 1  # the last token is not prefilled
    request = Request(prompt, params or SamplingParams(), min(max_new_tokens, room), seed)
    specials = set(tokenizer.specials.values())  # `<end>`, or the start of another turn
    with closing(engine.stream(request)) as tokens:
        ids = takewhile(lambda id: id not in specials, (token.id for token in tokens))
        yield from stream_text(tokenizer, ids)


def chat_prompt(
    model: Model, tokenizer: Tokenizer, messages: Sequence[Message], max_new_tokens: int = 500
) -> ChatPrompt:
    """Encode the newest turns that fit, after the system message.

    Drops whole turns, oldest first, until a quarter of the context, or `max_new_tokens`, is left for the
    reply. Raises UserError if the last message alone exceeds the context.
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
        system = N_(" with the system message") if head else ""
        raise UserError(
            "the message takes {n_ids:,} tokens{system}, and the model sees {block_size:,} at once. Shorten "
            "it, or train a model with a larger `block_size`.",
            n_ids=len(ids),
            system=system,
            block_size=block_size,
        )
    return ChatPrompt(ids, n_dropped)


def _oldest_turn(messages: Sequence[Message]) -> int:
    """Count the messages of the oldest turn; 0 if there is no other."""
    for i in range(1, len(messages)):
        if messages[i].role == "user" and messages[i - 1].role == "assistant":
            return i
    return 0
