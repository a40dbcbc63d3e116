"""``python -m deploy.catalogue --typescript`` prints the client's types; ``--write`` writes all that is committed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from deploy.catalogue.asyncapi import asyncapi
from deploy.catalogue.markdown import markdown
from deploy.catalogue.typescript import typescript

ROOT: Final = Path(__file__).resolve().parent.parent.parent


def _asyncapi() -> str:
    return msgspec.json.format(msgspec.json.encode(asyncapi()), indent=2).decode() + "\n"


PRINTED: Final[Mapping[str, tuple[str, Callable[[], str]]]] = {
    "--typescript": ("client/src/catalogue.ts", typescript),
    "--asyncapi": ("docs/asyncapi.json", _asyncapi),
    "--markdown": ("docs/reference.md", markdown),
}
USAGE: Final = f"usage: python -m deploy.catalogue {' | '.join(PRINTED)} | --write\n"


def main(arguments: list[str]) -> int:
    """0, or 2 for other arguments than these."""
    match arguments:
        case ["--write"]:
            for path, made in PRINTED.values():
                (ROOT / path).parent.mkdir(exist_ok=True)
                (ROOT / path).write_text(made())
        case [option] if option in PRINTED:
            sys.stdout.write(PRINTED[option][1]())
        case _:
            sys.stderr.write(USAGE)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
