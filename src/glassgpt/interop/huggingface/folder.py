"""All files of a Hugging Face folder: configuration, weights and tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from glassgpt.checkpoint import write_json
from glassgpt.interop.chat import CHAT_TEMPLATE, END, end_id, imported_chat, knows_chat
from glassgpt.interop.huggingface.config import class_of, generation_config, model_config
from glassgpt.interop.names import RULES, to_theirs
from glassgpt.interop.source import ExportSource


def write(source: ExportSource, folder: Path, dtype: str) -> None:
    """Write a run's model as transformers loads it. dtype: of the weights, such as `float32`."""
    end = end_id(source)
    tensors = to_theirs(source.tensors, RULES[class_of(source.shape)], source.shape)
    kind = getattr(torch, dtype)
    tensors = {name: tensor.to(kind) for name, tensor in tensors.items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    n_vocab = source.tokenizer.n_vocab
    write_json(folder / "config.json", model_config(source.shape, n_vocab, dtype, end))
    write_json(folder / "generation_config.json", generation_config(end))
    source.tokenizer.save(folder / "tokenizer.json")
    write_json(folder / "tokenizer_config.json", _tokenizer_config(source))


def _tokenizer_config(source: ExportSource) -> dict[str, Any]:
    """Return the content of tokenizer_config.json: nothing is added to a text or cleaned up in it."""
    found: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": source.shape.block_size,
        "clean_up_tokenization_spaces": False,
    }
    if knows_chat(source):
        found |= {"eos_token": END, "pad_token": END, "chat_template": CHAT_TEMPLATE}
    return found | imported_chat(source)


USAGE = """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("{folder}")
tokenizer = AutoTokenizer.from_pretrained("{folder}")
{call}
print(tokenizer.decode(out[0]))
```

The context is {block_size:,} tokens: prompt and answer together have to fit."""
PLAIN_CALL = """\
inputs = tokenizer({prompt!r}, return_tensors="pt")
out = model.generate(**inputs, max_new_tokens={n})"""
CHAT_CALL = """\
messages = [{"role": "user", "content": "Hello"}]
inputs = tokenizer.apply_chat_template(
    messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
)
out = model.generate(**inputs, max_new_tokens=%d)"""


def usage(source: ExportSource) -> str:
    """Return the code that loads the folder with transformers, in Markdown."""
    n = min(200, source.shape.block_size // 2)
    prompt = source.prompt
    call = CHAT_CALL % n if knows_chat(source) else PLAIN_CALL.format(prompt=prompt, n=n)
    name = f"{source.run.path.name}-hf"
    return USAGE.format(folder=name, call=call, block_size=source.shape.block_size)
