"""Exercises of the chapters, one module each with a function `make_exercises`."""
