"""Programs that an export brings along. They know numpy, onnxruntime and tokenizers, and not GlassGPT."""
