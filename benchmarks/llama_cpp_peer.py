"""llama.cpp for generate.py: a GPT-2 with random weights, exported as GGUF.

    python benchmarks/llama_cpp_peer.py TOKENS ROUNDS THREADS vocab_size=65 block_size=256 n_layer=6 …

For a Python that has llama-cpp-python and gguf, and nothing of GlassGPT. Prints tokens a second, the median.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import gguf
import numpy as np
from llama_cpp import Llama


def write_gguf(path: Path, shape: dict[str, int]) -> None:
    """A file with random weights, and a vocabulary of numbered words that only serves to be there."""
    V, C, L = shape["vocab_size"], shape["n_embd"], shape["n_layer"]
    rng = np.random.default_rng(0)

    def random(*size: int) -> np.ndarray:
        return (0.02 * rng.standard_normal(size)).astype(np.float32)

    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_context_length(shape["block_size"])
    writer.add_embedding_length(C)
    writer.add_block_count(L)
    writer.add_feed_forward_length(4 * C)
    writer.add_head_count(shape["n_head"])
    writer.add_layer_norm_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"w{i}" for i in range(V)])
    writer.add_token_types([gguf.TokenType.NORMAL] * V)
    writer.add_token_merges(["w 0"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    tensors = {"token_embd.weight": random(V, C), "position_embd.weight": random(shape["block_size"], C)}
    for i in range(L):
        for name, rows, columns in (
            ("attn_qkv", 3 * C, C),
            ("attn_output", C, C),
            ("ffn_up", 4 * C, C),
            ("ffn_down", C, 4 * C),
        ):
            tensors |= {f"blk.{i}.{name}.weight": random(rows, columns), f"blk.{i}.{name}.bias": random(rows)}
        for name in ("attn_norm", "ffn_norm"):
            tensors |= {f"blk.{i}.{name}.weight": np.ones(C, np.float32), f"blk.{i}.{name}.bias": random(C)}
    tensors |= {"output_norm.weight": np.ones(C, np.float32), "output_norm.bias": random(C)}
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    n, rounds, threads = map(int, sys.argv[1:4])
    shape = {key: int(value) for key, value in (word.split("=") for word in sys.argv[4:])}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        write_gguf(path, shape)
        model = Llama(str(path), n_ctx=shape["block_size"], n_threads=threads, n_gpu_layers=0, verbose=False)
        rates = []
        for _ in range(rounds + 1):
            model.reset()
            began, wrote = time.perf_counter(), 0
            for _ in model.generate(list(range(1, 17)), temp=0.8):
                wrote += 1
                if wrote == n:
                    break
            rates.append(n / (time.perf_counter() - began))
    print(statistics.median(rates[1:]))


if __name__ == "__main__":
    main()
