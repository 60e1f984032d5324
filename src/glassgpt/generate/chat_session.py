"""A conversation in progress: what was said, the commands in it, the replies to come. It shows nothing."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from glassgpt.data import Message
from glassgpt.errors import UserError
from glassgpt.generate.chat import reply, seen
from glassgpt.generate.engine import Engine
from glassgpt.generate.sampling import SamplingParams
from glassgpt.models import Model
from glassgpt.tokenizers import Tokenizer

HELP = """\
/system TEXT   what the system says first; without a text, nothing
/undo          take back the last message and its reply
/retry         another reply to the last message
/reset         begin anew, the system's words kept
/exit          end, as Ctrl-D does
A line that ends with \\ goes on in the next one; // begins a message with /. Ctrl-C stops a reply."""


@dataclass
class Turn:
    """What follows a message: a reply in pieces, or a note; or the end."""

    note: str = ""
    pieces: Generator[str] | None = None
    ended: bool = False


@dataclass
class ChatSession:
    """A model and what was said so far. `take` hears a message or a command."""

    model: Model
    tokenizer: Tokenizer
    params: SamplingParams
    max_new_tokens: int
    seed: int | None = None
    messages: list[Message] = field(default_factory=list[Message])
    news: str = ""
    """What is to be said once, after a reply: that the conversation has outgrown the model."""
    _engine: Engine = field(init=False)  # kept, so that what was said is not read again
    _n_replies: int = 0
    _has_outgrown: bool = False

    def __post_init__(self) -> None:
        self._engine = Engine(self.model, max_batch=1)

    def take(self, text: str) -> Turn:
        """Raises UserError, and changes nothing, for what is no command, and a message that is too long."""
        word, _, rest = text.partition(" ")
        match word:
            case "/exit" | "/quit":
                return Turn(ended=True)
            case "/help":
                return Turn(HELP)
            case "/reset":
                self.messages = [m for m in self.messages if m.role == "system"]
                self._has_outgrown = False
                return Turn("the conversation begins anew")
            case "/system":
                said = self._set_system(rest.strip())
                return Turn(f"the system says: {said}" if said else "the system says nothing")
            case "/undo":
                self.messages = self.messages[: self._last_asked()]
                return Turn("the last message is taken back")
            case "/retry":
                return self._hear(self.messages[: self._last_asked() + 1])
            case _ if word.startswith("/") and not word.startswith("//"):
                raise UserError(f"{word} is no command: /help lists them, and // begins a message with /")
        return self._hear([*self.messages, Message("user", text.removeprefix("/"))])

    def _hear(self, messages: Sequence[Message]) -> Turn:
        sees = seen(self.model, self.tokenizer, messages, self.max_new_tokens)
        self.messages = list(messages)
        if sees.n_dropped and not self._has_outgrown:
            self._has_outgrown = True
            self.news = (
                f"the conversation has outgrown the {self.model.config.block_size:,} tokens that the model "
                "sees: from now on it no longer knows the oldest turns"
            )
        return Turn(pieces=self._reply())

    def _reply(self) -> Generator[str]:
        """What comes is kept, also where it is stopped."""
        seed = None if self.seed is None else self.seed + self._n_replies
        self._n_replies += 1
        said: list[str] = []
        try:
            for piece in reply(
                self._engine,
                self.tokenizer,
                self.messages,
                self.params,
                max_new_tokens=self.max_new_tokens,
                seed=seed,
            ):
                said.append(piece)
                yield piece
        finally:
            if words := "".join(said):
                self.messages.append(Message("assistant", words))

    def _set_system(self, text: str) -> str:
        said = [Message("system", text)] if text else []
        self.messages = [*said, *(m for m in self.messages if m.role != "system")]
        return text

    def _last_asked(self) -> int:
        """Where the last message of the user stands."""
        found = [i for i, message in enumerate(self.messages) if message.role == "user"]
        if not found:
            raise UserError("nothing was said yet")
        return found[-1]
