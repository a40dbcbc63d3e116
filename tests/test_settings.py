"""The environment: every variable's default, what it may be, and what stops the start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.settings import BadSettings, FanoutSettings, IngestSettings, database_url, fanout_settings, ingest_settings

NEEDED = {
    "DATABASE_URL": "postgresql://user:hidden@host/db",
    "REDIS_URL": "redis://host:6379/0",
    "CHAINHOOK_SECRET_TOKEN": "secret",
    "JWT_SECRET": "j" * 32,
}
ST = "ST2F3J1PK46D6XVRBB9SQ66PY89P8G0EBDW5E05M7"
SP = "SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7"
SM = "SM3VDXK3WZZSA84XXFKAFAF15NNZX32CTSG82JFQ4"
SN = "SN1EZQR3ZY1EVRY3NGYBY5SQNRBRQECBAD6XDHPMM"


def ingest(**variables: str) -> IngestSettings:
    return ingest_settings({**NEEDED, **variables})


def fanout(**variables: str) -> FanoutSettings:
    return fanout_settings({**NEEDED, **variables})


def faults(read: Callable[..., object], **variables: str) -> str:
    """What stops the start."""
    with pytest.raises(BadSettings) as bad:
        read(**variables)
    return str(bad.value)


NUMBERS = ["", "0", "-1", "1.5", "1e3", "0x10", "ten", "1 0", "9" * 30, "+1", "1_000", "\u00b2"]


def whole(attribute: str, default: int, low: int, high: int) -> tuple[str, object, dict[str, object], list[str]]:
    """A variable that is a whole number within bounds."""
    bad = [*NUMBERS[1:], str(low - 1), str(high + 1)]
    return attribute, default, {str(low): low, str(high): high, f" {low} ": low}, [it for it in bad if it != str(low)]


def word(attribute: str, default: object, **words: object) -> tuple[str, object, dict[str, object], list[str]]:
    """A variable that is one of a few words."""
    first = next(iter(words))
    return attribute, default, words, [first.upper(), f"{first},", "yes", "0"]


Row = tuple[str, object, dict[str, object], list[str]]  # attribute, default, good values as read, bad values
SECRETS = {"a": (b"a",), " a , b ,": (b"a", b"b"), "caf\u00e9": ("caf\u00e9".encode(),)}
BOTH: dict[str, Row] = {
    "REDIS_PREFIX": ("common.redis_prefix", "bitpay", {"a.B-2_": "a.B-2_"}, ["a:b", "a b", "x" * 65, "caf\u00e9"]),
    "HOST": ("common.host", "0.0.0.0", {"127.0.0.1": "127.0.0.1", "::": "::"}, []),
    "LOG_LEVEL": word("common.log_level", "info", debug="debug", warning="warning", error="error"),
    "METRICS_TOKEN": ("common.metrics_token", (), dict(SECRETS), []),
    "DRAIN_S": whole("common.drain_s", 20, 1, 600),
}
INGEST: dict[str, Row] = {
    **BOTH,
    "PORT": whole("common.port", 3000, 1, 65535),
    "CHAINHOOK_SECRET_TOKEN": ("secrets", (b"secret",), dict(SECRETS), [",", " , "]),
    "BROADCAST_TOKEN": ("broadcast_tokens", (), dict(SECRETS), []),
    "WEBHOOK_MAX_BYTES": whole("webhook_max_bytes", 41943040, 1024, 2**31 - 1),
    "STORE_WAIT_S": whole("store_wait_s", 20, 1, 600),
    "OUTBOX_RETENTION_DAYS": whole("outbox_retention_days", 90, 1, 36500),
    "FEED_MAX_ENTRIES": whole("feed_max_entries", 100_000, 100, 100_000_000),
}
LONG = "x" * 32
FANOUT: dict[str, Row] = {
    **BOTH,
    "PORT": whole("common.port", 4000, 1, 65535),
    "ALLOWED_ORIGINS": (
        "allowed_origins",
        ("http://localhost:3000", "https://localhost:3000"),
        {"https://a.example, http://b:81": ("https://a.example", "http://b:81")},
        [
            "*",
            "https://*",
            "null",
            "a.example",
            "https://a.example/",
            "https://a.example/x",
            "ftp://a",
            "https://",
            "//a",
        ],
    ),
    "JWT_SECRET": (
        "jwt_secrets",
        (b"j" * 32,),
        {f"{LONG},{LONG}y": (LONG.encode(), LONG.encode() + b"y"), "\u00e9" * 16: ("\u00e9".encode() * 16,)},
        ["x" * 31, f"{LONG},x", ","],
    ),
    "JWKS_URL": (
        "jwks_url",
        "",
        {
            it: it
            for it in (
                "https://id.example/keys.json",
                "https://id.example:8443",
                "http://127.0.0.1:81/k?a=b",
                "http://localhost/",
                "http://[::1]:81/",
                "https://[2001:db8::1]/k",
            )
        },
        [
            "http://id.example/keys.json",
            "http://127.0.0.1.example/",
            "http://localhost@id.example/",
            "ftp://localhost/",
            "https://",
            "https:///keys",
            "//id.example",
            "id.example",
            "https://user:hidden@id.example/",
            "https://a b/",
            "https://id.example/caf\u00e9",
            "https://id.example:port/",
            "http://[::2]/",
            "https://id.example#f",
            "HTTPS://id.example",
        ],
    ),
    "ROOMS_MAX": whole("rooms_max", 128, 1, 100_000),
    "MESSAGE_RATE": whole("message_rate", 20, 1, 100_000),
    "MESSAGE_BURST": whole("message_burst", 200, 1, 1_000_000),
    "TRANSPORTS": (
        "transports",
        ("websocket", "polling"),
        {"websocket": ("websocket",), "polling": ("polling",), "polling, websocket": ("polling", "websocket")},
        [",", "Websocket", "websocket,sse", "websocket polling"],
    ),
    "PING_INTERVAL_S": whole("ping_interval_s", 25, 1, 600),
    "PING_TIMEOUT_S": whole("ping_timeout_s", 20, 1, 600),
    "DEFLATE": word("deflate", default=False, on=True, off=False),
    "CONTROL_URL": (
        "control_url",
        "",
        {},
        ["http://example.com:4900", "https://127.0.0.1:4900", "http://127.0.0.1:4900/", "127.0.0.1:4900"],
    ),
    "PAGE": word("page", default=True, on=True, off=False),
}
TABLE = [(ingest, name, row) for name, row in INGEST.items()] + [(fanout, name, row) for name, row in FANOUT.items()]


def found(settings: object, attribute: str) -> Any:
    for name in attribute.split("."):
        settings = getattr(settings, name)
    return settings


@pytest.mark.parametrize(("read", "name", "row"), TABLE, ids=[f"{it[0].__name__}-{it[1]}" for it in TABLE])
def test_a_variable_has_its_default_and_its_bounds(read: Callable[..., Any], name: str, row: Row) -> None:
    attribute, default, good, bad = row
    assert default == found(read(), attribute)
    if name not in NEEDED:
        assert default == found(read(**{name: ""}), attribute)
        assert default == found(read(**{name: "  "}), attribute)
    for given, value in good.items():
        assert value == found(read(**{name: given}), attribute), given
    for given in bad:
        assert name in faults(read, **{name: given}), given


@pytest.mark.parametrize("read", [ingest, fanout])
def test_urls_have_the_schemes_of_their_servers(read: Callable[..., Any]) -> None:
    for url in ("postgresql://h/d", "postgres://u:p@h:5432/d?sslmode=require"):
        assert url == read(DATABASE_URL=url).common.database_url
    for url in ("redis://h", "rediss://:p@h:6379/1"):
        assert url == read(REDIS_URL=url).common.redis_url
    for url in ("mysql://h/d", "postgresql+asyncpg://h/d", "h/d", "http://h"):
        assert "DATABASE_URL must be" in faults(read, DATABASE_URL=url)
        assert "REDIS_URL must be" in faults(read, REDIS_URL=url)


def test_the_control_panel_is_for_development_alone() -> None:
    url = "http://127.0.0.1:4900"
    assert "CONTROL_URL needs BITPAY_ENV=development" in faults(fanout, CONTROL_URL=url)
    assert url == fanout(CONTROL_URL=url, BITPAY_ENV="development").control_url


def test_what_a_key_set_s_tokens_must_say_needs_a_key_set() -> None:
    for name in ("JWKS_ISSUER", "JWKS_AUDIENCE"):
        assert "JWKS_ISSUER and JWKS_AUDIENCE need JWKS_URL" == faults(fanout, **{name: "x"})
    found_ = fanout(JWKS_URL="https://id.example/keys.json", JWKS_ISSUER="https://id.example", JWKS_AUDIENCE="realtime")
    assert ("https://id.example", "realtime") == (found_.jwks_issuer, found_.jwks_audience)
    assert ("", "", "") == (fanout().jwks_url, fanout().jwks_issuer, fanout().jwks_audience)


def test_migrations_need_the_database_alone() -> None:
    assert "postgres://h/d" == database_url({"DATABASE_URL": "postgres://h/d"})
    for environment in ({}, {"DATABASE_URL": ""}, {"DATABASE_URL": "h"}):
        with pytest.raises(BadSettings, match="DATABASE_URL"):
            database_url(environment)


def test_what_is_needed_has_no_default() -> None:
    for read, names in (
        (ingest_settings, ("DATABASE_URL", "REDIS_URL", "CHAINHOOK_SECRET_TOKEN")),
        (fanout_settings, ("DATABASE_URL", "REDIS_URL", "JWT_SECRET")),
    ):
        with pytest.raises(BadSettings) as bad:
            read({})
        assert "; ".join(f"{name} is not set" for name in names) == str(bad.value)
        with pytest.raises(BadSettings) as bad:
            read(dict.fromkeys(names, " "))
        assert "; ".join(f"{name} is not set" for name in names) == str(bad.value)


@pytest.mark.parametrize(("read", "rows"), [(ingest, INGEST), (fanout, FANOUT)])
def test_all_that_is_wrong_is_said_at_once(read: Callable[..., Any], rows: dict[str, Row]) -> None:
    bad = {name: row[3][0] for name, row in rows.items() if row[3]}
    said = faults(read, **bad, DATABASE_URL="x", REDIS_URL="x", STACKS_NETWORK="moon")
    for name in (*bad, "DATABASE_URL", "REDIS_URL", "STACKS_NETWORK"):
        assert 1 == sum(fault.startswith(f"{name} ") for fault in said.split("; ")), name


def test_a_fault_does_not_show_what_may_be_a_secret() -> None:
    said = faults(
        ingest, DATABASE_URL="mysql://user:hidden@h/d", REDIS_URL="http://:hidden@h", CHAINHOOK_SECRET_TOKEN=","
    )
    assert "hidden" not in said
    assert "hidden" not in faults(fanout, JWT_SECRET="hidden")


def test_nothing_else_in_the_environment_is_looked_at() -> None:
    assert ingest() == ingest(PATH="/bin", port="1", Host="x", BITPAY_OTHER="y")


# -- user rooms that anybody may hear, on laptops only


def test_user_rooms_are_open_in_development_on_testnet_alone() -> None:
    assert fanout().dev_user_rooms is False
    assert fanout(BITPAY_ENV="development").dev_user_rooms is False
    assert fanout(BITPAY_ENV="development", DEV_USER_ROOMS="on").dev_user_rooms is True
    needs = "DEV_USER_ROOMS needs BITPAY_ENV=development and STACKS_NETWORK=testnet"
    refused: list[dict[str, str]] = [
        {},
        {"BITPAY_ENV": "production"},
        {"BITPAY_ENV": "development", "STACKS_NETWORK": "mainnet"},
        {"STACKS_NETWORK": "mainnet"},
    ]
    for variables in refused:
        assert needs == faults(fanout, DEV_USER_ROOMS="on", **variables)
    for word_ in ("true", "1", "ON", "yes"):
        assert "DEV_USER_ROOMS must be" in faults(fanout, BITPAY_ENV="development", DEV_USER_ROOMS=word_)
    assert "BITPAY_ENV must be" in faults(fanout, BITPAY_ENV="dev")


# -- contracts


def test_by_default_the_contracts_are_those_of_the_spec() -> None:
    assert ingest().contracts.as_dict() == {
        "core": f"{ST}.bitpay-core-v5",
        "marketplace": f"{ST}.bitpay-marketplace-v5",
        "treasury": f"{ST}.bitpay-treasury-v5",
        "access": f"{ST}.bitpay-access-control-v5",
        "obligation": f"{ST}.bitpay-obligation-nft-v5::obligation-nft",
        "recipient": f"{ST}.bitpay-nft-v5::stream-nft",
    }
    contracts = ingest().contracts
    assert (f"{ST}.bitpay-obligation-nft-v5", f"{ST}.bitpay-nft-v5") == (contracts.obligation, contracts.recipient)
    assert f"{ST}.bitpay-nft-v5::stream-nft" == contracts.recipient_asset
    assert contracts.asset_sources() == {
        f"{ST}.bitpay-nft-v5::stream-nft/mint",
        f"{ST}.bitpay-nft-v5::stream-nft/burn",
        f"{ST}.bitpay-obligation-nft-v5::obligation-nft/burn",
    }


@pytest.mark.parametrize(("network", "deployer"), [("testnet", ST), ("testnet", SN), ("mainnet", SP), ("mainnet", SM)])
def test_deployer_and_suffix_make_all_six(network: str, deployer: str) -> None:
    contracts = ingest(STACKS_NETWORK=network, BITPAY_DEPLOYER_ADDRESS=deployer, BITPAY_CONTRACT_SUFFIX="-v6").contracts
    assert f"{deployer}.bitpay-core-v6" == contracts.core
    assert f"{deployer}.bitpay-nft-v6::stream-nft" == contracts.recipient_asset
    assert 6 == len({it for it in contracts.as_dict().values() if it.startswith(deployer) and "-v6" in it})


@pytest.mark.parametrize(
    ("network", "deployer"), [("testnet", SP), ("testnet", SM), ("mainnet", ST), ("mainnet", SN), ("mainnet", "")]
)
def test_a_deployer_of_another_network_is_refused_for_every_role(network: str, deployer: str) -> None:
    said = faults(ingest, STACKS_NETWORK=network, BITPAY_DEPLOYER_ADDRESS=deployer)
    assert 6 == said.count(f"is no contract of {network}")


@pytest.mark.parametrize("deployer", [ST.lower(), ST[:-1], ST + "0", f"'{ST}", "deployer", f"{ST}.x"])
def test_a_deployer_that_is_no_address_is_refused(deployer: str) -> None:
    assert "is no contract of testnet" in faults(ingest, BITPAY_DEPLOYER_ADDRESS=deployer)


@pytest.mark.parametrize("suffix", [".v5", " v5", "caf\u00e9", "-" * 129])
def test_a_suffix_that_makes_no_contract_name_is_refused(suffix: str) -> None:
    assert "is no contract of testnet" in faults(ingest, BITPAY_CONTRACT_SUFFIX=f"-{suffix}")


def test_single_roles_can_be_replaced() -> None:
    contracts = ingest(
        BITPAY_CONTRACTS=f" core = {SN}.streams , recipient={SN}.tickets, obligation={SN}.debts::debt ,"
    ).contracts
    assert contracts.as_dict() == ingest().contracts.as_dict() | {
        "core": f"{SN}.streams",
        "recipient": f"{SN}.tickets::stream-nft",
        "obligation": f"{SN}.debts::debt",
    }
    assert (f"{SN}.tickets", f"{SN}.debts") == (contracts.recipient, contracts.obligation)


def test_replacing_all_six_needs_no_deployer_of_the_network() -> None:
    roles = ("core", "marketplace", "treasury", "access", "obligation", "recipient")
    replaced = ",".join(f"{role}={SP}.{role}" for role in roles)
    contracts = ingest(STACKS_NETWORK="mainnet", BITPAY_CONTRACTS=replaced).contracts
    assert f"{SP}.treasury" == contracts.treasury


@pytest.mark.parametrize(
    ("contracts", "said"),
    [
        ("core", "each role once"),
        (f"{SN}.streams", "each role once"),
        (f"vault={SN}.streams", "each role once"),
        (f"Core={SN}.streams", "each role once"),
        (f"core={SN}.a,core={SN}.b", "each role once"),
        ("core=", "core is no contract of testnet"),
        (f"core={SN}", "core is no contract of testnet"),
        (f"core={SN}.", "core is no contract of testnet"),
        (f"core={SN}.a.b", "core is no contract of testnet"),
        (f"core={SN}.1a", "core is no contract of testnet"),
        (f"core={SP}.streams", "core is no contract of testnet"),
        (f"core={SN.lower()}.streams", "core is no contract of testnet"),
        ("core=.streams", "core is no contract of testnet"),
        (f"core={SN}.streams::asset", "core cannot have the asset"),
        (f"recipient={SN}.tickets::", "recipient cannot have the asset"),
        (f"recipient={SN}.tickets::a::b", "recipient cannot have the asset"),
        (f"recipient={SN}.tickets::1a", "recipient cannot have the asset"),
        (f"core={ST}.bitpay-treasury-v5", "two roles have the same contract"),
        (f"core={SN}.one,treasury={SN}.one", "two roles have the same contract"),
        (f"obligation={SN}.nft::a,recipient={SN}.nft::b", "two roles have the same contract"),
    ],
)
def test_contracts_that_cannot_be_meant_are_refused(contracts: str, said: str) -> None:
    assert said in faults(ingest, BITPAY_CONTRACTS=contracts)
    assert "BITPAY_CONTRACTS" in faults(ingest, BITPAY_CONTRACTS=contracts)
