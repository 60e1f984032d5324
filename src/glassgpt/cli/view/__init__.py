"""Displays, tables and terminal input of the commands."""
