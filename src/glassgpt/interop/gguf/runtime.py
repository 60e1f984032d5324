"""A GGUF file, loaded by llama.cpp."""

from __future__ import annotations

import json
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from contextlib import closing
from http.client import HTTPConnection
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import Tensor

from glassgpt.errors import missing_extra

FILE = "model.gguf"
SERVER = Path(__file__).with_name("server.py")
ALL_TOKENS = 1 << 30
"""More than any vocabulary has."""
CERTAIN = 1e6
"""Added to a logit, makes its token the next one. The probabilities of a reply are those before it."""


class LlamaCpp:
    """An exported file in llama.cpp, a process of its own; see `certify.Runtime`.

    Attention runs in float32, with a float32 cache.
    """

    def __init__(self, folder: Path) -> None:
        """Start it. Raises UserError if xllamacpp is not installed, OSError if llama.cpp rejects the file."""
        try:
            self.name = f"llama.cpp (xllamacpp {version('xllamacpp')})"
        except PackageNotFoundError:
            raise missing_extra("gguf", "xllamacpp") from None
        command = [sys.executable, "-P", str(SERVER), str(folder / FILE)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        weakref.finalize(self, _stop, process)
        self._address = _address(process)
        self._letter = self.encode("a")[-1]

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text."""
        return self._tokens(text, parse_special=False)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids."""
        return self._post("/detokenize", tokens=ids)["content"]

    def end_of_text(self) -> str:
        """Return the token that ends a text, decoded."""
        return self._request("GET", "/props")["eos_token"]

    def encode_chat(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """Return the token ids of a conversation, up to the beginning of the answer."""
        return self._tokens(self._post("/apply-template", messages=messages)["prompt"], parse_special=True)

    def logits(self, ids: Sequence[int], positions: Sequence[int]) -> Tensor:
        """Return the log-probabilities after the tokens at n positions: (n, V)."""
        return torch.stack([self._next_token(ids[: i + 1]) for i in positions])

    def greedy(self, ids: Sequence[int], n: int) -> list[int]:
        """Return n more tokens, each the most probable one."""
        found: list[int] = []
        while len(found) < n:  # llama.cpp pauses at the token that ends a text
            found += self._complete([*ids, *found], n_predict=n - len(found))["tokens"]
        return found

    def _next_token(self, ids: Sequence[int]) -> Tensor:
        """Return the log-probabilities of the next token: (V,).

        After a part of a character llama.cpp returns none. So the next token is a letter.
        """
        letter = [[self._letter, CERTAIN]]
        reply = self._complete(ids, n_predict=1, n_probs=ALL_TOKENS, logit_bias=letter)
        tokens = reply["completion_probabilities"][0]["top_logprobs"]
        found = torch.empty(len(tokens))
        found[[each["id"] for each in tokens]] = torch.tensor([each["logprob"] for each in tokens])
        return found

    def _complete(self, ids: Sequence[int], **options: Any) -> dict[str, Any]:
        return self._post("/completion", prompt=ids, temperature=0, return_tokens=True, **options)

    def _tokens(self, text: str, *, parse_special: bool) -> list[int]:
        options = {"add_special": True, "parse_special": parse_special}  # what the file adds to each text
        return self._post("/tokenize", content=text, **options)["tokens"]

    def _post(self, path: str, **body: Any) -> dict[str, Any]:
        return self._request("POST", path, json.dumps(body))

    def _request(self, method: str, path: str, body: str = "") -> dict[str, Any]:
        with closing(HTTPConnection(self._address)) as connection:  # the server closes idle ones
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            reply = json.load(response)
        if response.status != 200:
            raise OSError(reply["error"]["message"])
        return reply


def _address(process: subprocess.Popen[str]) -> str:
    """Return the host and port that the server prints. Raises OSError if it ends before."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("address "):
            return urlsplit(line.split()[1]).netloc
    raise OSError("llama.cpp cannot load the file")


def _stop(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()
