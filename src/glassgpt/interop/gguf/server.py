"""llama.cpp's server for one GGUF file, on this machine alone: python server.py FILE

`LlamaCpp` starts it as a process of its own, since llama.cpp may abort on a wrong file. It prints its address
and ends with its standard input. It needs xllamacpp, and nothing of GlassGPT.
"""

# xllamacpp is a compiled module without types.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

import os
import sys

import xllamacpp


def main(file: str) -> None:
    """Serve a file with a float32 cache and without fused attention, so that only the model differs."""
    params = xllamacpp.CommonParams()
    params.model.path = file
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1  # more wait for each other, spinning
    params.n_gpu_layers = params.cache_ram_mib = params.n_ctx_checkpoints = params.verbosity = 0
    params.n_parallel = 1
    params.fit_params = params.ui = params.warmup = False
    server = xllamacpp.Server(params)
    print(f"address {server.listening_address}", flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
