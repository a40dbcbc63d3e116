"""What can go wrong on a developer's machine, said so that the next step is clear."""

from __future__ import annotations


class LocalFault(Exception):
    """Nothing was started, or it was stopped again; the message is one sentence that says what to do."""


class Impossible(Exception):
    """What was commanded cannot be done now; nothing was. The message says why and what would help."""


class BadEnvironment(LocalFault):
    """A process refuses the variables that it was started with."""


class PortTaken(LocalFault):
    """Somebody else listens on ``port`` of 127.0.0.1."""

    def __init__(self, port: int, server: str) -> None:
        super().__init__(f"port {port} for {server} is taken: stop what listens there or choose another port")
        self.port = port
