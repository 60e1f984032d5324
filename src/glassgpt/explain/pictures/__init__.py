"""Slides of the chapters, one module for each: 16:9, to read from the last row.

Imported when a chapter is drawn, since they need matplotlib. They measure nothing.
"""
