"""A conversation in progress: messages, commands, replies. It prints nothing."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from glassgpt.data import Message
from glassgpt.errors import UserError
from glassgpt.generate.chat import chat_prompt, reply
from glassgpt.generate.engine import Engine
from glassgpt.generate.sampling import SamplingParams
from glassgpt.generate.seeds import derived_seed
from glassgpt.language import N_
from glassgpt.models import Model
from glassgpt.tokenizers import Tokenizer

HELP = N_(
    """\
/system TEXT   set the system message; without a text, remove it
/undo          remove the last message and its reply
/retry         generate another reply to the last message
/reset         start a new conversation with the same system message
/exit          end, as Ctrl-D does
A line that ends with \\ continues on the next one; // starts a message with /. Ctrl-C stops a reply."""
)


@dataclass
class Reply:
    """The answer to a message or a command."""

    note: str = ""
    """Result of a command, for the user."""
    pieces: Generator[str] | None = None
    """The assistant's reply, streamed; None after a command."""
    notice: str = ""
    """For the user after this reply, once: the conversation no longer fits in the context."""
    ended: bool = False
    """True if the user ended the conversation."""


@dataclass
class ChatSession:
    """A model and a conversation so far. `send` takes a message or a command."""

    model: Model
    tokenizer: Tokenizer
    params: SamplingParams
    max_new_tokens: int
    seed: int | None = None
    messages: list[Message] = field(default_factory=list[Message])
    _engine: Engine = field(init=False)  # kept, so that each reply reuses the conversation's prefix
    _n_replies: int = 0
    _has_outgrown: bool = False

    def __post_init__(self) -> None:
        self._engine = Engine(self.model, max_batch=1)

    def send(self, text: str) -> Reply:
        """Answer a message or run a command.

        Raises UserError, and changes nothing, for an unknown command and a message that is too long.
        """
        word, _, rest = text.partition(" ")
        match word:
            case "/exit" | "/quit":
                return Reply(ended=True)
            case "/help":
                return Reply(HELP)
            case "/reset":
                self.messages = [m for m in self.messages if m.role == "system"]
                self._has_outgrown = False
                return Reply(N_("new conversation"))
            case "/system":
                content = self._set_system(rest.strip())
                return Reply(
                    N_("system message: {content}", content=content)
                    if content
                    else N_("system message removed")
                )
            case "/undo":
                self.messages = self.messages[: self._last_user_message()]
                return Reply(N_("last message removed"))
            case "/retry":
                return self._answer(self.messages[: self._last_user_message() + 1])
            case _ if word.startswith("/") and not word.startswith("//"):
                raise UserError(
                    "{word} is no command. /help lists the commands; start a message with // to send a /.",
                    word=word,
                )
        return self._answer([*self.messages, Message("user", text.removeprefix("/"))])

    def _answer(self, messages: Sequence[Message]) -> Reply:
        prompt = chat_prompt(self.model, self.tokenizer, messages, self.max_new_tokens)
        self.messages = list(messages)
        notice = ""
        if prompt.n_dropped and not self._has_outgrown:
            self._has_outgrown = True
            notice = N_(
                "the conversation has outgrown the {block_size:,} tokens that the model sees. "
                "From now on, it does not see the oldest turns.",
                block_size=self.model.config.block_size,
            )
        return Reply(pieces=self._stream_reply(), notice=notice)

    def _stream_reply(self) -> Generator[str]:
        """Yield the reply and store it as a message, even if stopped early."""
        seed = None if self.seed is None else derived_seed(self.seed, self._n_replies)
        self._n_replies += 1
        pieces: list[str] = []
        try:
            for piece in reply(
                self._engine,
                self.tokenizer,
                self.messages,
                self.params,
                max_new_tokens=self.max_new_tokens,
                seed=seed,
            ):
                pieces.append(piece)
                yield piece
        finally:
            if content := "".join(pieces):
                self.messages.append(Message("assistant", content))

    def _set_system(self, text: str) -> str:
        system = [Message("system", text)] if text else []
        self.messages = [*system, *(m for m in self.messages if m.role != "system")]
        return text

    def _last_user_message(self) -> int:
        """Return the index of the user's last message."""
        found = [i for i, message in enumerate(self.messages) if message.role == "user"]
        if not found:
            raise UserError("there is no message yet. Send one first.")
        return found[-1]
