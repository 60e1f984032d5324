"""A notebook as a page of Markdown, with the outputs that it was saved with; nothing is run.

Prose stays prose, code becomes a fence, text output a fence of its own, pictures files next to the page.
HTML outputs are taken as they are.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

ANSI = re.compile(r"\x1b\[[0-9;]*m")
PICTURES = {"image/png": ".png", "image/jpeg": ".jpg", "image/svg+xml": ".svg"}


def as_markdown(notebook: str, name: str, folder: Path, moved: Callable[[str], str]) -> str:
    """The page of a notebook (its JSON); `moved` mends the links of its prose.

    Pictures are written into `folder`, next to the page, with its name.
    """
    cells = json.loads(notebook)["cells"]
    parts: list[str] = []
    for number, cell in enumerate(cells, 1):
        source = "".join(cell["source"]).strip("\n")
        if cell["cell_type"] == "markdown":
            parts.append(moved(source))
        elif cell["cell_type"] == "code" and source:
            parts.append(fenced(source, "python"))
            outputs = [_output(o, folder, f"{number}-{i}") for i, o in enumerate(_joined(cell["outputs"]), 1)]
            parts += [output for output in outputs if output]
    if not re.search(r"^# ", "\n".join(parts[:1]), re.MULTILINE):
        parts.insert(0, "# " + name.replace("-", " ").capitalize())
    return "\n\n".join(parts) + "\n"


def fenced(text: str, language: str, classes: str = "") -> str:
    """A code block, with a fence longer than any inside.

    >>> print(fenced("1 + 1", "python"))
    ```python
    1 + 1
    ```
    """
    ticks = "`" * max(3, 1 + max(map(len, re.findall(r"^ *(`{3,})", text, re.MULTILINE)), default=0))
    info = f" {{ .{language} .{classes} }}" if classes else language
    return f"{ticks}{info}\n{text}\n{ticks}"


def _joined(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Printed pieces that follow each other, as one."""
    joined: list[dict[str, Any]] = []
    for output in outputs:
        if output["output_type"] == "stream" and joined and joined[-1]["output_type"] == "stream":
            joined[-1] = {**output, "text": "".join(joined[-1]["text"]) + "".join(output["text"])}
        else:
            joined.append(output)
    return joined


def _output(output: dict[str, Any], folder: Path, stem: str) -> str:
    if output["output_type"] == "stream":
        return _text("".join(output["text"]))
    if output["output_type"] == "error":
        return _text("\n".join(output["traceback"]))
    data = {kind: "".join(value) for kind, value in output["data"].items() if isinstance(value, str | list)}
    if kind := next((kind for kind in PICTURES if kind in data), None):
        return _picture(data[kind], data.get("text/plain", ""), folder, stem + PICTURES[kind])
    if "text/html" in data:
        # A blank line would end the block of HTML and turn what follows into Markdown.
        return '<div class="output">\n' + re.sub(r"\n\s*\n", "\n", data["text/html"]).strip() + "\n</div>"
    if "text/markdown" in data:
        return data["text/markdown"]
    return _text(data.get("text/plain", ""))


def _text(text: str) -> str:
    text = ANSI.sub("", text).strip("\n")
    return fenced(text, "text", "output") if text.strip() else ""


def _picture(content: str, words: str, folder: Path, name: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    raw = content.encode() if name.endswith(".svg") else base64.b64decode(content)
    (folder / name).write_bytes(raw)
    alt = re.sub(r"[\[\]<>\s]+", " ", words).strip() or "output"
    return f"![{alt}]({folder.name}/{name})"
