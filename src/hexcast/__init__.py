"""Hexcast keeps open web pages current: one log, one URL, one cursor, six ways to receive."""

__version__ = "0.1.0"
