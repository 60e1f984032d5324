"""Chat template: conversations to token ids, shared by training, evaluation and chat.

A message is an opening that names its role, its content, and an end: in GlassGPT's format a token of the
role and `<end>`. Only the assistant's content and its end are predicted. No text encodes to special tokens,
so a user cannot forge a turn of another role.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glassgpt.data.batches.chat_format import CHAT_SPECIALS, find_chat_format, marker_ids
from glassgpt.data.batches.example_tokens import ExampleData, ExampleSplit, open_examples, write_split
from glassgpt.data.batches.ragged import Ragged
from glassgpt.data.examples import Conversation, Message
from glassgpt.errors import UserError
from glassgpt.language import N_, join_texts
from glassgpt.tokenizers import Tokenizer

ROLES = ("system", "user", "assistant")


@dataclass
class Truncation:
    """Counts of conversations and turns that did not fit into the context."""

    n_long: int = 0
    """Conversations split over several spans."""
    n_shortened: int = 0
    """Turns whose reply lost its end."""
    n_lost: int = 0
    """Turns left out because the text before the reply fills the context."""

    def notes(self, block_size: int) -> tuple[str, ...]:
        """Return the note for the user, if any.

        >>> Truncation(n_long=2, n_lost=1).notes(64)[0][:59]
        '2 conversations are longer than the context (64 tokens): sp'
        """
        if not (self.n_long or self.n_shortened or self.n_lost):
            return ()
        counts = [
            N_(
                "{n_long:,} conversations are longer than the context ({block_size:,} tokens): "
                "split between turns, the system message repeated",
                n_long=self.n_long,
                block_size=block_size,
            ),
            N_("{n_shortened:,} replies lost their end", n_shortened=self.n_shortened)
            if self.n_shortened
            else "",
            N_("{n_lost:,} replies left out because their questions are too long", n_lost=self.n_lost)
            if self.n_lost
            else "",
        ]
        return (
            N_(
                "{counts}. Raise `block_size` to keep more together.",
                counts=join_texts("; ", filter(None, counts)),
            ),
        )


@dataclass(frozen=True)
class Span:
    """Consecutive tokens of one conversation, and their loss mask."""

    ids: list[int]
    loss_mask: list[bool]
    """True for a predicted token."""

    def __add__(self, other: Span) -> Span:
        return Span(self.ids + other.ids, self.loss_mask + other.loss_mask)

    def __len__(self) -> int:
        return len(self.ids)

    def cut(self, size: int) -> Span:
        """Return the first `size` tokens."""
        return Span(self.ids[:size], self.loss_mask[:size])


class ChatTemplate:
    """Conversations as the tokens of one tokenizer.

    >>> from glassgpt.tokenizers import train_tokenizer
    >>> template = ChatTemplate(train_tokenizer("byte", "", specials=CHAT_SPECIALS))
    >>> template.prompt([Message("user", "A")])  # <user> A <end> <assistant>
    [257, 65, 259, 258]
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Raises UserError if the tokenizer has no special tokens of a known chat format."""
        format = find_chat_format(tokenizer)
        if format is None:
            missing = [name for name in CHAT_SPECIALS if name not in tokenizer.specials]
            raise UserError(
                "the tokenizer has no {missing}: its model was not trained on conversations. Train a model "
                "on .jsonl conversations, or fine-tune this one (`init_from.run`).",
                missing=" ".join(missing),
            )
        self.tokenizer = tokenizer
        self.format = format
        self.opening = {role: marker_ids(tokenizer, format.opening.format(role=role)) for role in ROLES}
        self.end = tokenizer.specials[format.end]
        self.begin, self.after = (marker_ids(tokenizer, each) for each in (format.begin, format.after))

    def message(self, message: Message) -> Span:
        """Encode one message. The content and the end of an assistant's message are predicted."""
        opening, text = self.opening[message.role], message.content
        content = self.tokenizer.encode(text.strip() if self.format.is_stripped else text)
        predicted = [message.role == "assistant"] * (len(content) + 1)
        mask = [False] * len(opening) + predicted + [False] * len(self.after)
        return Span([*opening, *content, self.end, *self.after], mask)

    def prompt(self, messages: Iterable[Message]) -> list[int]:
        """Encode all messages and open the assistant's next turn."""
        ids = [id for message in messages for id in self.message(message).ids]
        return [*self.begin, *ids, *self.opening["assistant"]]

    def spans(self, messages: Sequence[Message], size: int, truncation: Truncation) -> Iterator[Span]:
        """Split a conversation into spans of at most `size` tokens, each with predicted tokens.

        It is split between turns; a turn is a user's message and its reply. Each span repeats the system
        message. A turn longer than `size` loses the end of its reply; without room for a reply it is left
        out. Messages after the last reply are dropped. `truncation` counts all of this.
        """
        head, turns = self._turns(messages)
        whole = head
        for turn in turns:
            if len(whole) > len(head) and len(whole) + len(turn) > size:
                yield whole
                whole = head
            whole = whole + turn
            if len(whole) > size:  # this turn alone is too long
                cut = whole.cut(size)
                whole = head
                if any(cut.loss_mask):
                    truncation.n_shortened += 1
                    yield cut
                else:
                    truncation.n_lost += 1
        if len(whole) > len(head):
            yield whole
        if len(head) + sum(map(len, turns)) > size:
            truncation.n_long += 1

    def _turns(self, messages: Sequence[Message]) -> tuple[Span, list[Span]]:
        """Return the system message, and each user's message with the reply to it."""
        head, turns, before = Span([], []), [], ""
        for message in messages:
            span = self.message(message)
            if message.role == "system":
                head = span
            elif turns and (message.role == "assistant" or before == "user"):
                turns[-1] += span
            else:
                turns.append(span)
            before = message.role
        return head, [turn for turn in turns if any(turn.loss_mask)]

    def read(self, ids: Iterable[int]) -> list[Message]:
        """Decode token ids to messages. The last message may be incomplete.

        >>> from glassgpt.tokenizers import train_tokenizer
        >>> template = ChatTemplate(train_tokenizer("byte", "", specials=CHAT_SPECIALS))
        >>> template.read([257, 65, 66, 259, 258, 67])
        [Message(role='user', content='AB'), Message(role='assistant', content='C')]
        """
        rest, found = list(ids)[len(self.begin) :], list[Message]()
        while rest:
            role = next(role for role, opening in self.opening.items() if rest[: len(opening)] == opening)
            rest = rest[len(self.opening[role]) :]
            n = rest.index(self.end) if self.end in rest else len(rest)
            found.append(Message(role, self.tokenizer.decode(rest[:n])))
            rest = rest[n + 1 + len(self.after) :]
        return found


def write_chat(
    splits: dict[str, Sequence[Conversation]], template: ChatTemplate, block_size: int, folder: Path
) -> tuple[ExampleData, Truncation]:
    """Encode `train` and `val` into `folder` and open them; also count what was cut.

    Raises UserError if no reply of a split fits into `block_size`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    truncation = Truncation()
    for name, conversations in splits.items():
        # One token more than the context: the last one is a target only.
        spans = [s for c in conversations for s in template.spans(c.messages, block_size + 1, truncation)]
        if not spans:
            raise UserError(
                "the {name} split: no reply fits into the context ({block_size:,} tokens) after its "
                "question. Raise `block_size`.",
                name=name,
                block_size=block_size,
            )
        write_split(_split_of(spans, template), folder / f"{name}.safetensors")
    return open_examples(folder), truncation


def _split_of(spans: Sequence[Span], template: ChatTemplate) -> ExampleSplit:
    n_chars = n_bytes = 0
    for span in spans:  # predicted tokens only; an `<end>` counts as one character
        predicted = np.array(span.ids)[span.loss_mask]
        n_ends = int((predicted == template.end).sum())
        n_chars += len(template.tokenizer.decode(predicted)) + n_ends
        n_bytes += len(template.tokenizer.token_bytes(predicted)) + n_ends
    return ExampleSplit(
        source=Ragged.of(() for _ in spans),
        text=Ragged.of(span.ids for span in spans),
        n_prompt=np.zeros(len(spans), np.int64),
        n_chars=n_chars,
        n_bytes=n_bytes,
        loss_mask=np.concatenate([np.array(span.loss_mask) for span in spans]),
    )
