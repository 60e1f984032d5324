"""The chapters, one fact of the notes a file."""
