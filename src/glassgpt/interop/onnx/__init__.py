"""Export to ONNX: graphs for onnxruntime, with a KV cache and a small program that generates text."""

from __future__ import annotations

from glassgpt.interop.format import ExportFormat
from glassgpt.interop.onnx.compare import LIMITS, compare_outputs
from glassgpt.interop.onnx.folder import export_obstacle, usage, write
from glassgpt.interop.onnx.runtime import OnnxRuntime

FORMAT = ExportFormat(
    name="onnx",
    title="ONNX",
    library="onnxruntime",
    limits=LIMITS,
    obstacle=export_obstacle,
    write=write,
    open=OnnxRuntime,
    usage=usage,
    checks=compare_outputs,
)
