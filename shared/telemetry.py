"""Logs as JSON lines on stdout, and metrics as Prometheus reads them.

A log line has a fixed message and few, bounded fields; payloads and secrets never go in. The metrics themselves stand
in ``ingest/metrics.py`` and ``fanout/metrics.py``, so that a process shows only its own.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from hmac import compare_digest
from typing import Any, Final

import msgspec
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    disable_created_metrics,
    generate_latest,
    multiprocess,
)

disable_created_metrics()  # type: ignore[no-untyped-call]

METRICS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"  # the client library's own variable

_FIELD_MAX = 300  # characters of one logged field
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class _JsonLines(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{record.msecs:03.0f}",
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage()[:_FIELD_MAX],
        }
        line |= {key: _bounded(value) for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info and record.exc_info[1]:
            line["error"] = _bounded(f"{type(record.exc_info[1]).__name__}: {record.exc_info[1]}")
            line["where"] = [
                f"{frame.filename.rsplit('/', 2)[-1]}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(record.exc_info[2])[-8:]
            ]
        return msgspec.json.encode(line).decode()


def _bounded(value: object) -> object:
    if isinstance(value, (int, float, bool, type(None))):
        return value
    return str(value)[:_FIELD_MAX].encode("utf-8", "backslashreplace").decode()


def start_logging(process: str, level: str) -> None:
    """Send all logs of this process to stdout, one JSON object a line."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines(process))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("uvicorn.access", "aiohttp.access", "socketio", "engineio", "alembic", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def bearer_matches(header: bytes, tokens: tuple[bytes, ...]) -> bool:
    """Whether ``Authorization: Bearer <token>`` names one of the tokens, in time that tells nothing about them."""
    scheme, _, given = header.partition(b" ")
    hits = [compare_digest(given.strip(), token) for token in tokens]
    return scheme.lower() == b"bearer" and any(hits)


def metrics_text() -> tuple[bytes, str]:
    """All metrics in Prometheus' text format, and its content type."""
    registry = REGISTRY
    if os.environ.get(METRICS_FOLDER):  # several processes count as one
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST
