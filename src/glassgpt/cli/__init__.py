"""Command line: it reads arguments, calls the library and prints."""
