"""The last thing that ``make run`` says: where everything is, and what to try next."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.local.environment import ROOT, Folder, Ports
from deploy.local.postgres import Postgres

SECRET = "CHAINHOOK_SECRET_TOKEN"  # noqa: S105 - the variable's name


def banner(
    environ: Mapping[str, str],
    folder: Folder,
    ports: Ports,
    postgres: Postgres | None,
    database_url: str,
    *,
    simulated: bool,
) -> str:
    """Lines to read and lines to copy. A secret of yours is never shown, one of ours only by the file it is in."""
    ingest = f"http://127.0.0.1:{ports.ingest}"
    fanouts = [f"http://127.0.0.1:{port}" for port in ports.fanouts]
    python = _short(Path(sys.executable))
    secret = f"${SECRET}" if environ.get(SECRET) else f"$(cat {_short(folder.secret_file(SECRET))})"
    psql = f"{_short(postgres.psql)} {shlex.quote(database_url)}" if postgres else 'psql "$DATABASE_URL"'
    chain = f"a block every {environ.get('BITPAY_BLOCK_S') or '3'} s, now and then a reorg" if simulated else "off"
    lines = {
        "page": f"{fanouts[0]}/",
        "webhook": f"POST {ingest}/webhooks/chainhook",
        "fanout": "  ".join(fanouts),
        "metrics": "  ".join(f"{url}/metrics" for url in (ingest, *fanouts)),
        "chain": chain,
        "logs": f"{_short(folder.path / 'log')}/",
    }
    facts = "\n".join(f"  {name:<9}{text}" for name, text in lines.items())
    return f"""
BitPay Realtime is running. Ctrl-C ends it.

{facts}

  watch events in a terminal:
    {python} -m deploy.local.watch {fanouts[0]}
  post a hook by hand:
    {python} -m deploy.local.example | curl -sS {ingest}/webhooks/chainhook -H "authorization: Bearer {secret}" \\
      -H 'content-type: application/json' --data-binary @-
  look into the database:
    {psql}
"""


def _short(path: Path) -> str:
    """Relative to the repository where that is shorter to read, safe to paste."""
    return shlex.quote(str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path))
