"""The GGUF file: sizes, tokenizer and weights of a run's model."""

from __future__ import annotations

from pathlib import Path

import gguf
from gguf import GGUFWriter, LlamaFileType

from glassgpt.config import ModelConfig, exportable_as
from glassgpt.interop.card import model_summary
from glassgpt.interop.chat import knows_chat
from glassgpt.interop.gguf.runtime import FILE
from glassgpt.interop.gguf.tokenizer import SPACE, add_tokenizer, left_out, tokenizer_obstacle
from glassgpt.interop.gguf.weights import architecture, gguf_tensors
from glassgpt.interop.source import ExportSource
from glassgpt.language import N_

FILE_TYPES = {
    "float32": LlamaFileType.ALL_F32,
    "float16": LlamaFileType.MOSTLY_F16,
    "q8_0": LlamaFileType.MOSTLY_Q8_0,
}


def export_obstacle(source: ExportSource) -> str:
    """Return the reason why GGUF cannot hold a run; empty if it can."""
    if reason := exportable_as(source.shape).reason:
        return reason
    if source.shape.mlp == "gelu_erf":
        return N_("llama.cpp has only the tanh approximation of GELU (`mlp` is gelu_erf)")
    return tokenizer_obstacle(source.tokenizer)


def write(source: ExportSource, folder: Path, dtype: str) -> None:
    """Write a run's model as one file. dtype: of the matrices, such as `float16`."""
    writer = GGUFWriter(folder / FILE, architecture(source.shape))
    writer.add_name(source.run.path.name)
    writer.add_description(model_summary(source))
    if source.license:
        writer.add_license(source.license)
    writer.add_file_type(FILE_TYPES[dtype])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _add_sizes(writer, source.shape)
    writer.add_vocab_size(source.tokenizer.n_vocab)
    add_tokenizer(writer, source)
    for name, data, type in gguf_tensors(source, dtype):
        writer.add_tensor(name, data, raw_dtype=type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_sizes(writer: GGUFWriter, shape: ModelConfig) -> None:
    writer.add_context_length(shape.block_size)
    writer.add_embedding_length(shape.n_embd)
    writer.add_block_count(shape.n_layer)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.n_head)
    if shape.norm == "layer":
        writer.add_layer_norm_eps(shape.eps)
        return
    writer.add_layer_norm_rms_eps(shape.eps)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_theta)


USAGE = """\
With the programs of llama.cpp:

```sh
llama-cli -m {folder}/{file} {mode}
llama-server -m {folder}/{file}
```

With Ollama: `ollama create {name} -f Modelfile`, where `Modelfile` holds

```text
FROM ./{file}
{template}
PARAMETER temperature 0.8
```

The context is {block_size:,} tokens: prompt and answer together have to fit.{note}"""
OLLAMA_PLAIN = 'TEMPLATE "{{ .Prompt }}"'
OLLAMA_CHAT = """\
TEMPLATE \"\"\"{{ range .Messages }}<{{ .Role }}>{{ .Content }}<end>{{ end }}<assistant>\"\"\"
PARAMETER stop <end>"""
NOTE = f" llama.cpp reads the character {SPACE} (U+2581) as a space."


def usage(source: ExportSource) -> str:
    """Return the commands that load the file, in Markdown."""
    n = min(200, source.shape.block_size // 2)
    plain = f"-no-cnv --temp 0.8 -n {n} -p {source.prompt!r}"
    return USAGE.format(
        folder=f"{source.run.path.name}-gguf",
        file=FILE,
        name=source.run.path.name,
        mode="-cnv --temp 0.8" if knows_chat(source) else plain,
        template=OLLAMA_CHAT if knows_chat(source) else OLLAMA_PLAIN,
        block_size=source.shape.block_size,
        note=NOTE if left_out(source) else "",
    )
