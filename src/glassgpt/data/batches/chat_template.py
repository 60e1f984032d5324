"""How a conversation becomes tokens: the one place that training, measuring and chatting agree on.

A message is the token of its role, its words, and `<end>`. Of these the assistant's words and their `<end>`
are predicted; all else is only read. No text encodes to these tokens, so nobody can write a turn of
somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from glassgpt.data.batches.example_tokens import ExampleData, open_examples
from glassgpt.data.batches.ragged import Ragged
from glassgpt.data.examples import Conversation, Message
from glassgpt.errors import UserError
from glassgpt.tokenizers import Tokenizer

END_OF_TURN = "<end>"
CHAT_SPECIALS = ("<system>", "<user>", "<assistant>", END_OF_TURN)
"""The extra tokens of a tokenizer whose model chats."""


@dataclass
class Truncation:
    """What became of conversations that are longer than the model can see."""

    n_long: int = 0
    """Conversations that were continued in a window of their own."""
    n_shortened: int = 0
    """Turns of which the end of the reply was left out."""
    n_lost: int = 0
    """Turns that were left out: what comes before the reply fills the window."""

    def notes(self, block_size: int) -> tuple[str, ...]:
        """What the user should hear.

        >>> Truncation(n_long=2, n_lost=1).notes(64)[0][:58]
        '2 conversations are longer than the 64 tokens that the mod'
        """
        if not (self.n_long or self.n_shortened or self.n_lost):
            return ()
        said = [
            f"{self.n_long:,} conversations are longer than the {block_size:,} tokens that the model sees at "
            "once: cut between turns, the system message repeated",
            f"of {self.n_shortened:,} replies the end was left out" if self.n_shortened else "",
            f"{self.n_lost:,} replies were left out, their questions being too long" if self.n_lost else "",
        ]
        return ("; ".join(filter(None, said)) + ". A larger --block-size keeps more together",)


@dataclass(frozen=True)
class Piece:
    """Tokens that are learned together, and which of them are predicted."""

    ids: list[int]
    asked: list[bool]

    def __add__(self, other: Piece) -> Piece:
        return Piece(self.ids + other.ids, self.asked + other.asked)

    def __len__(self) -> int:
        return len(self.ids)

    def cut(self, size: int) -> Piece:
        """Its first `size` tokens."""
        return Piece(self.ids[:size], self.asked[:size])


class ChatTemplate:
    """Conversations as the tokens of one tokenizer.

    >>> from glassgpt.tokenizers import train_tokenizer
    >>> template = ChatTemplate(train_tokenizer("byte", "", specials=CHAT_SPECIALS))
    >>> template.prompt([Message("user", "A")])  # <user> A <end> <assistant>
    [257, 65, 259, 258]
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Raises UserError for a tokenizer without the tokens of a conversation."""
        if missing := [name for name in CHAT_SPECIALS if name not in tokenizer.specials]:
            raise UserError(
                f"this tokenizer has no {' '.join(missing)}: its model has not learned from conversations; "
                "train one that does (`glassgpt train chat.jsonl`, with --from RUN on top of this one)"
            )
        self.tokenizer = tokenizer
        names = {role: tokenizer.specials[f"<{role}>"] for role in ("system", "user", "assistant")}
        self.opening = names
        self.end = tokenizer.specials[END_OF_TURN]

    def message(self, message: Message) -> Piece:
        """One message. Of the assistant's, all but the first token are predicted."""
        ids = [self.opening[message.role], *self.tokenizer.encode(message.content), self.end]
        return Piece(ids, [False] + [message.role == "assistant"] * (len(ids) - 1))

    def prompt(self, messages: Iterable[Message]) -> list[int]:
        """All messages, and the token after which the assistant speaks."""
        said = [id for message in messages for id in self.message(message).ids]
        return [*said, self.opening["assistant"]]

    def pieces(self, messages: Sequence[Message], size: int, cutting: Truncation) -> Iterator[Piece]:
        """A conversation in pieces of at most `size` tokens, each with something to predict.

        It is cut between turns (what the user says, and the reply); each piece begins with the system
        message, if there is one. A turn that is longer by itself loses the end of its reply, or, where its
        question leaves no room for one, is left out. What comes after the last reply predicts nothing.
        """
        head, turns = self._turns(messages)
        whole = head
        for turn in turns:
            if len(whole) > len(head) and len(whole) + len(turn) > size:
                yield whole
                whole = head
            whole = whole + turn
            if len(whole) > size:  # by itself
                cut = whole.cut(size)
                whole = head
                if any(cut.asked):
                    cutting.n_shortened += 1
                    yield cut
                else:
                    cutting.n_lost += 1
        if len(whole) > len(head):
            yield whole
        cutting.n_long += len(head) + sum(map(len, turns)) > size

    def _turns(self, messages: Sequence[Message]) -> tuple[Piece, list[Piece]]:
        """The system message, and what the user says up to and with the reply to it."""
        head, turns, before = Piece([], []), [], ""
        for message in messages:
            piece = self.message(message)
            if message.role == "system":
                head = piece
            elif turns and (message.role == "assistant" or before == "user"):
                turns[-1] += piece
            else:
                turns.append(piece)
            before = message.role
        return head, [turn for turn in turns if any(turn.asked)]

    def read(self, ids: Iterable[int]) -> list[Message]:
        """The messages in some tokens; of one that is cut short, its beginning.

        >>> from glassgpt.tokenizers import train_tokenizer
        >>> template = ChatTemplate(train_tokenizer("byte", "", specials=CHAT_SPECIALS))
        >>> template.read([257, 65, 66, 259, 258, 67])
        [Message(role='user', content='AB'), Message(role='assistant', content='C')]
        """
        roles = {id: role for role, id in self.opening.items()}
        found: list[tuple[str, list[int]]] = []
        for id in ids:
            if id in roles:
                found.append((roles[id], []))
            elif id != self.end:
                found[-1][1].append(id)
        return [Message(role, self.tokenizer.decode(said)) for role, said in found]


def write_chat(
    splits: dict[str, Sequence[Conversation]], template: ChatTemplate, block_size: int, folder: Path
) -> tuple[ExampleData, Truncation]:
    """Encode `train` and `val` into `folder` and open them; and what had to be cut.

    Raises UserError where of a split nothing fits into the block.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cutting = Truncation()
    for name, conversations in splits.items():
        # One token more than the model sees: the last one is only predicted.
        pieces = [p for c in conversations for p in template.pieces(c.messages, block_size + 1, cutting)]
        if not pieces:
            raise UserError(
                f"no reply of the {name} split fits into the {block_size:,} tokens that the model sees, with "
                "what comes before it; raise --block-size"
            )
        save_file(_arrays(pieces, template), folder / f"{name}.safetensors")
    return open_examples(folder), cutting


def _arrays(pieces: Sequence[Piece], template: ChatTemplate) -> dict[str, np.ndarray]:
    text, nothing = Ragged.of(piece.ids for piece in pieces), Ragged.of(() for _ in pieces)
    asked = np.concatenate([np.array(piece.asked) for piece in pieces])
    n_chars = n_bytes = 0
    for piece in pieces:  # what is predicted; the end of a turn counts as one
        said = np.array(piece.ids)[piece.asked]
        n_ends = int((said == template.end).sum())
        n_chars += len(template.tokenizer.decode(said)) + n_ends
        n_bytes += len(template.tokenizer.token_bytes(said)) + n_ends
    return {
        "given": nothing.ids,
        "given_starts": nothing.starts,
        "text": text.ids,
        "text_starts": text.starts,
        "n_prompt": np.zeros(len(pieces), np.int64),
        "n_chars_bytes": np.array([n_chars, n_bytes]),
        "asked": asked,
    }
