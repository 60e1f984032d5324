"""GlassGPT: train a GPT from scratch on your own text, and see through it."""
