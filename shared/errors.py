"""Failures, in families by what a caller can do about them."""

from __future__ import annotations


class Rejected(Exception):
    """What came in is wrong: keep it, count it, go on. Never a reason to stop."""


class Unavailable(Exception):
    """A neighbour does not answer: try again, with a deadline."""


class Broken(Exception):
    """Going on would break a promise: end the process and say why."""
