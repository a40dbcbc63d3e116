"""The real servers that ``make run`` and the tests use where nobody gives them others."""

from __future__ import annotations

from deploy.local.errors import LocalFault, PortTaken
from deploy.local.postgres import Postgres, start_postgres
from deploy.local.valkey import Valkey, start_valkey

__all__ = ["LocalFault", "PortTaken", "Postgres", "Valkey", "start_postgres", "start_valkey"]
