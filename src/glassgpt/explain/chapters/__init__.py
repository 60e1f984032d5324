"""Chapters, one fact of the notes per file."""
