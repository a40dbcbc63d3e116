"""The environment, read once into frozen values. Complete at start, or the start fails naming every bad variable.

Only the ``__main__`` modules hand an environment in. Durations are seconds, sizes bytes; the README's table of
variables is held against these classes by a test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from shared.domain.chain import ROLES, Contracts
from shared.domain.clarity import is_principal, version_of

T = TypeVar("T")

DEPLOYER = "ST2F3J1PK46D6XVRBB9SQ66PY89P8G0EBDW5E05M7"
VERSIONS = {"mainnet": (22, 20), "testnet": (26, 21)}  # c32check address versions: one key, several keys
_CONTRACT_NAMES = {
    "core": "bitpay-core",
    "marketplace": "bitpay-marketplace",
    "treasury": "bitpay-treasury",
    "access": "bitpay-access-control",
    "obligation": "bitpay-obligation-nft",
    "recipient": "bitpay-nft",
}
_ASSETS = {"obligation": "obligation-nft", "recipient": "stream-nft"}


class BadSettings(Exception):
    """The environment cannot be used; the message names every variable that is wrong, and how."""


class _Reader:
    """Reads variables one by one and collects what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []

    def read(self, name: str, default: str | None, parse: Callable[[str], T]) -> T:
        """Parse one variable; an empty one counts as not set. Without a default it is required."""
        text = self._environ.get(name, "").strip() or default
        if text is None:
            self.faults.append(f"{name} is not set")
        else:
            try:
                return parse(text)
            except ValueError as wrong:
                self.faults.append(f"{name} {wrong}")
        return None  # type: ignore[return-value]  # never seen: finish() raises

    def finish(self) -> None:
        if self.faults:
            raise BadSettings("; ".join(self.faults))


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,15}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return parse


def _items(text: str) -> tuple[str, ...]:
    return tuple(item for part in text.split(",") if (item := part.strip()))


def _secrets(least: int) -> Callable[[str], tuple[bytes, ...]]:
    def parse(text: str) -> tuple[bytes, ...]:
        found = tuple(item.encode() for item in _items(text))
        if not found or any(len(secret) < least for secret in found):
            raise ValueError(f"must be secrets of at least {least} bytes each, separated by commas")
        return found

    return parse


def _optional_secrets(text: str) -> tuple[bytes, ...]:
    return tuple(item.encode() for item in _items(text))


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if urlsplit(text).scheme not in schemes:
            raise ValueError(f"must be a URL starting with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return text

    return parse


def _redis_url(text: str) -> str:
    if urlsplit(text).scheme not in ("redis", "rediss", "redis+sentinel", "rediss+sentinel"):
        raise ValueError("must be a URL starting with redis:// or rediss:// or redis+sentinel:// or rediss+sentinel://")
    if "+sentinel" in text and not re.fullmatch(r"[^/]+//[^/,]+(,[^/,]+)*/[^/]+(/[0-9]+)?", text):
        raise ValueError("must be redis+sentinel://host:port,host:port/service")
    return text


def _prefix(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", text):
        raise ValueError("must be 1 to 64 letters, digits, dots, hyphens or underscores")
    return text


def _origins(text: str) -> tuple[str, ...]:
    found = _items(text)
    for origin in found or (text,):  # no origin at all would mean any to Engine.IO
        parts = urlsplit(origin)
        exact = f"{parts.scheme}://{parts.netloc}" == origin and "*" not in origin
        if parts.scheme not in ("http", "https") or not parts.netloc or not exact:
            raise ValueError(f"must be exact origins such as https://app.example.com, not {origin!r}")
    return found


def _transports(text: str) -> tuple[str, ...]:
    found = _items(text)
    if not found or set(found) - {"websocket", "polling"}:
        raise ValueError("must be websocket, polling or both")
    return found


_switch = _one_of("on", "off")


@dataclass(frozen=True, slots=True)
class Common:
    """What both processes are told."""

    database_url: str
    redis_url: str
    redis_prefix: str
    host: str
    port: int
    log_level: str
    metrics_token: tuple[bytes, ...]
    network: str
    drain_s: int


def _common(read: _Reader, port: str) -> Common:
    return Common(
        database_url=read.read("DATABASE_URL", None, _url("postgresql", "postgres")),
        redis_url=read.read("REDIS_URL", None, _redis_url),
        redis_prefix=read.read("REDIS_PREFIX", "bitpay", _prefix),
        host=read.read("HOST", "0.0.0.0", str),  # noqa: S104 - behind a platform's router by default
        port=read.read("PORT", port, _whole(1, 65535)),
        log_level=read.read("LOG_LEVEL", "info", _one_of("debug", "info", "warning", "error")),
        metrics_token=read.read("METRICS_TOKEN", "", _optional_secrets),
        network=read.read("STACKS_NETWORK", "testnet", _one_of("testnet", "mainnet")),
        drain_s=read.read("DRAIN_S", "20", _whole(1, 600)),
    )


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """What one ingest process is told."""

    common: Common
    contracts: Contracts
    secrets: tuple[bytes, ...]
    broadcast_tokens: tuple[bytes, ...]  # none: nobody may broadcast
    webhook_max_bytes: int
    store_wait_s: int
    outbox_retention_days: int
    feed_max_entries: int


def ingest_settings(environ: Mapping[str, str]) -> IngestSettings:
    """Settings of ingest. Raises ``BadSettings``."""
    read = _Reader(environ)
    common = _common(read, "3000")
    settings = IngestSettings(
        common=common,
        contracts=_contracts(read, common.network or "testnet"),
        secrets=read.read("CHAINHOOK_SECRET_TOKEN", None, _secrets(1)),
        broadcast_tokens=read.read("BROADCAST_TOKEN", "", _optional_secrets),
        webhook_max_bytes=read.read("WEBHOOK_MAX_BYTES", "41943040", _whole(1024, 2**31 - 1)),
        store_wait_s=read.read("STORE_WAIT_S", "20", _whole(1, 600)),
        outbox_retention_days=read.read("OUTBOX_RETENTION_DAYS", "90", _whole(1, 36500)),
        feed_max_entries=read.read("FEED_MAX_ENTRIES", "100000", _whole(100, 100_000_000)),
    )
    read.finish()
    return settings


def _loopback_url(value: str) -> str:
    if value and not re.fullmatch(r"http://(127\.0\.0\.1|localhost):[0-9]{1,5}", value):
        raise ValueError("must be http://127.0.0.1:<port>")
    return value


def _key_set_url(text: str) -> str:
    found = re.fullmatch(r"(https?)://([\w.-]+|\[[0-9a-fA-F:.]+\])(:[1-9]\d{0,4})?(/[!-~]*)?", text, re.ASCII)
    if text and (not found or (found[1] == "http" and found[2] not in ("localhost", "127.0.0.1", "[::1]"))):
        raise ValueError("must be a URL starting with https://, or with http:// for a host of this machine")
    return text


@dataclass(frozen=True, slots=True)
class FanoutSettings:
    """What one fanout node is told."""

    common: Common
    allowed_origins: tuple[str, ...]
    jwt_secrets: tuple[bytes, ...]
    jwks_url: str  # of the keys that a back end signs tokens with, or nothing
    jwks_issuer: str  # what such tokens must say, where it is set
    jwks_audience: str
    workers: int  # nodes that share the port, each a process
    connections_per_address: int  # of one node; 0: no limit
    rooms_max: int
    message_rate: int  # client messages a second and connection
    message_burst: int
    transports: tuple[str, ...]
    deflate: bool  # whether WebSockets that offer compression get it
    ping_interval_s: int
    ping_timeout_s: int
    token_ttl_s: int
    trusted_proxies: int  # in front of this node
    session_ttl_s: int
    resume_max: int  # emissions that a client may have missed
    ring_max_entries: int
    ring_max_bytes: int
    queue_high_bytes: int  # waiting for one connection
    queue_low_bytes: int
    page: bool
    control_url: str  # of the local control panel, or nothing
    dev_user_rooms: bool  # anybody may hear any user room; never in production


def fanout_settings(environ: Mapping[str, str]) -> FanoutSettings:
    """Settings of a fanout node. Raises ``BadSettings``."""
    read = _Reader(environ)
    common = _common(read, "4000")
    kind = read.read("BITPAY_ENV", "production", _one_of("production", "development"))
    open_rooms = read.read("DEV_USER_ROOMS", "off", _switch) == "on"
    if open_rooms and (kind != "development" or common.network != "testnet"):
        read.faults.append("DEV_USER_ROOMS needs BITPAY_ENV=development and STACKS_NETWORK=testnet")
    settings = FanoutSettings(
        common=common,
        allowed_origins=read.read("ALLOWED_ORIGINS", "http://localhost:3000,https://localhost:3000", _origins),
        jwt_secrets=read.read("JWT_SECRET", None, _secrets(32)),
        jwks_url=read.read("JWKS_URL", "", _key_set_url),
        jwks_issuer=read.read("JWKS_ISSUER", "", str),
        jwks_audience=read.read("JWKS_AUDIENCE", "", str),
        workers=read.read("WORKERS", "1", _whole(1, 256)),
        connections_per_address=read.read("CONNECTIONS_PER_ADDRESS", "0", _whole(0, 1_000_000)),
        rooms_max=read.read("ROOMS_MAX", "128", _whole(1, 100_000)),
        message_rate=read.read("MESSAGE_RATE", "20", _whole(1, 100_000)),
        message_burst=read.read("MESSAGE_BURST", "200", _whole(1, 1_000_000)),
        transports=read.read("TRANSPORTS", "websocket,polling", _transports),
        deflate=read.read("DEFLATE", "off", _switch) == "on",
        ping_interval_s=read.read("PING_INTERVAL_S", "25", _whole(1, 600)),
        ping_timeout_s=read.read("PING_TIMEOUT_S", "20", _whole(1, 600)),
        token_ttl_s=read.read("TOKEN_TTL_S", "86400", _whole(60, 86_400)),
        trusted_proxies=read.read("TRUSTED_PROXIES", "0", _whole(0, 20)),
        session_ttl_s=read.read("SESSION_TTL_S", "86400", _whole(10, 31_536_000)),
        resume_max=read.read("RESUME_MAX", "10000", _whole(1, 10_000_000)),
        ring_max_entries=read.read("RING_MAX_ENTRIES", "20000", _whole(1, 10_000_000)),
        ring_max_bytes=read.read("RING_MAX_BYTES", "67108864", _whole(65_536, 2**40)),
        queue_high_bytes=read.read("QUEUE_HIGH_BYTES", "262144", _whole(8192, 2**30)),
        queue_low_bytes=read.read("QUEUE_LOW_BYTES", "65536", _whole(4096, 2**30)),
        page=read.read("PAGE", "on", _switch) == "on",
        control_url=read.read("CONTROL_URL", "", _loopback_url),
        dev_user_rooms=open_rooms,
    )
    if settings.control_url and kind != "development":
        read.faults.append("CONTROL_URL needs BITPAY_ENV=development")
    if (settings.jwks_issuer or settings.jwks_audience) and settings.jwks_url == "":
        read.faults.append("JWKS_ISSUER and JWKS_AUDIENCE need JWKS_URL")
    if (settings.queue_low_bytes or 0) >= (settings.queue_high_bytes or 2**31):
        read.faults.append("QUEUE_LOW_BYTES must be less than QUEUE_HIGH_BYTES")
    read.finish()
    return settings


def is_address_of(network: str, text: str) -> bool:
    """Whether this is the canonical text of an account of that network; a contract is none."""
    return "." not in text and is_principal(text) and version_of(text) in VERSIONS[network]


def database_url(environ: Mapping[str, str]) -> str:
    """The one variable that migrations need. Raises ``BadSettings``."""
    read = _Reader(environ)
    url = read.read("DATABASE_URL", None, _url("postgresql", "postgres"))
    read.finish()
    return url


def _contracts(read: _Reader, network: str) -> Contracts:
    """Six ids from deployer and suffix, with single roles replaced; each a contract of the network, none twice."""
    deployer = read.read("BITPAY_DEPLOYER_ADDRESS", DEPLOYER, str)
    suffix = read.read("BITPAY_CONTRACT_SUFFIX", "-v5", str)
    ids = {role: f"{deployer}.{name}{suffix}" for role, name in _CONTRACT_NAMES.items()}
    ids |= {role: f"{ids[role]}::{asset}" for role, asset in _ASSETS.items()}

    def replaced(text: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for item in _items(text):
            role, equals, contract = (part.strip() for part in item.partition("="))
            if role not in ROLES or not equals or role in found:
                raise ValueError(f"must be role=contract id, each role once, of {', '.join(ROLES)}; got {item!r}")
            if role in _ASSETS and "::" not in contract:
                contract = f"{contract}::{_ASSETS[role]}"
            found[role] = contract
        return found

    ids |= read.read("BITPAY_CONTRACTS", "", replaced) or {}
    plain = {role: text.partition("::")[0] for role, text in ids.items()}
    for role, contract in plain.items():
        if not _is_contract_of(network, contract):
            read.faults.append(f"BITPAY_CONTRACTS: {role} is no contract of {network}: {contract!r}")
        if "::" in ids[role] and (role not in _ASSETS or not re.fullmatch(r"[^:]+::[a-zA-Z][\w-]*", ids[role])):
            read.faults.append(f"BITPAY_CONTRACTS: {role} cannot have the asset in {ids[role]!r}")
    if len(set(plain.values())) < len(plain):
        read.faults.append("BITPAY_CONTRACTS: two roles have the same contract")
    return Contracts(**plain, obligation_asset=ids["obligation"], recipient_asset=ids["recipient"])


def _is_contract_of(network: str, text: str) -> bool:
    account, dot, _ = text.partition(".")
    return bool(dot) and is_principal(text) and is_address_of(network, account)
