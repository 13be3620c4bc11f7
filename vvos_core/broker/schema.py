"""The broker's tables, and the database they are in: opened, created where they are missing, refused where too new."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random

from ..errors import ConfigError

VERSION = 2
BUSY_SECONDS = 15
"""How long a statement waits for another's transaction, or for a connection, before the call fails."""

_metadata = MetaData()

META = Table(
    "vvos_meta",
    _metadata,
    Column("name", String(40), primary_key=True),
    Column("value", String(200), nullable=False),
)

GRANTS = Table(
    "vvos_grants",
    _metadata,
    # SHA-256 of who and request id: short, whatever their length.
    Column("request", LargeBinary(32), primary_key=True),
    Column("who", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("asked", LargeBinary(32), nullable=False),
    Column("access_token", Text, nullable=False),
    Column("failed", LargeBinary, nullable=False),
    Column("issued_at", Float(53), nullable=False),
    Column("expires_at", Float(53), nullable=False),
)
# Those that still hold a token, to be emptied when it can no longer be used.
Index(
    "vvos_grants_full",
    GRANTS.c.expires_at,
    sqlite_where=GRANTS.c.access_token != "",
    postgresql_where=GRANTS.c.access_token != "",
)

UPLOADS = Table(
    "vvos_uploads",
    _metadata,
    # SHA-256 of who, request id, profile and server key: one upload.
    Column("upload", LargeBinary(32), primary_key=True),
    Column("profile", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("upload_id", Text, nullable=False),
    # 0 when it is finished: due at once.
    Column("expires_at", Float(53), nullable=False),
    # When a sweeper took it, 0 when it is free again. Once it is not NULL nobody gets the upload back.
    Column("claimed_at", Float(53)),
)
Index("vvos_uploads_expiry", UPLOADS.c.expires_at)

BEGUN = Table(
    "vvos_begun",
    _metadata,
    # SHA-256 of a gettoken's own id, profile and server key: there from before the provider is asked to begin an
    # upload until its id is in UPLOADS. What is left of it tells where to look after a crash.
    Column("begun", LargeBinary(32), primary_key=True),
    Column("profile", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("begun_at", Float(53), nullable=False),
    # As above: once it is not NULL, that gettoken can no longer be answered.
    Column("claimed_at", Float(53)),
)
Index("vvos_begun_at", BEGUN.c.begun_at)

NOTIFIED = Table(
    "vvos_notified",
    _metadata,
    Column("upload", LargeBinary(32), primary_key=True),
    Column("who", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("checksum", Text, nullable=False),
    Column("notified_at", Float(53), nullable=False),
)

OUTBOX = Table(
    "vvos_outbox",
    _metadata,
    # Later ones have larger numbers, and none is used again.
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("event_id", String(40), nullable=False, unique=True),
    Column("listener", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("key", Text, nullable=False),
    # SHA-256 of listener, profile and key: what is delivered in order.
    Column("line", LargeBinary(32), nullable=False),
    # The JSON of a NotifyRequest.
    Column("payload", LargeBinary, nullable=False),
    Column("recorded_at", Float(53), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Float(53), nullable=False),
    Column("dead_at", Float(53)),
    Column("error", Text, nullable=False),
    Column("claimed_by", String(32), nullable=False),
    Column("claimed_until", Float(53), nullable=False),
    sqlite_autoincrement=True,
)
Index("vvos_outbox_line", OUTBOX.c.line, OUTBOX.c.sequence)
Index("vvos_outbox_due", OUTBOX.c.listener, OUTBOX.c.due_at)


def open_database(url: str, connections: int) -> Engine:
    """An engine for ``url`` with this schema in it. Raises ``ConfigError``, never naming the URL's password."""
    parsed = _parse(url)
    try:
        if parsed.get_backend_name() == "sqlite":
            engine = _sqlite(parsed, connections)
        else:
            engine = _engine(parsed, connections, {"connect_timeout": BUSY_SECONDS})
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"broker.database: the package {error.name!r} is not installed; install vvos[broker,postgres]."
        ) from None
    try:
        with engine.begin() as connection:
            _create(connection)
    except BaseException as error:
        engine.dispose()
        if not isinstance(error, DBAPIError):
            raise
        reason = str(error.orig).strip().splitlines()
        raise ConfigError(
            f"broker.database: {parsed.render_as_string(hide_password=True)} cannot be opened "
            f"({reason[0] if reason else type(error.orig).__name__})."
        ) from None
    return engine


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        name = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError):
        name = ""
    if name == "postgres":
        name = "postgresql"
    if name == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if name != "sqlite":
        raise ConfigError(
            'broker.database: it is not the URL of a database that the broker knows; write "sqlite:///file.db" or '
            '"postgresql://user@host/name".'
        )
    if parsed.database in (None, "", ":memory:"):
        raise ConfigError(
            'broker.database: SQLite needs a file, since several threads share it; write "sqlite:///file.db".'
        )
    return parsed


def _engine(url: URL, connections: int, arguments: dict[str, Any]) -> Engine:
    return create_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
        # Parameters hold sealed tokens: never in an error's text.
        hide_parameters=True,
        connect_args=arguments,
    )


def _sqlite(url: URL, connections: int) -> Engine:
    # isolation_level None: the driver begins nothing of its own, the events below do.
    engine = _engine(url, connections, {"timeout": BUSY_SECONDS, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, record: object) -> None:
        # Brokers that start on a new file together: SQLite answers "locked" to this one statement without waiting.
        patient = Retrying(
            retry=retry_if_exception_type(sqlite3.OperationalError),
            wait=wait_random(0, 0.05),
            stop=stop_after_delay(BUSY_SECONDS),
            reraise=True,
        )
        patient(connection.execute, "PRAGMA journal_mode=WAL")
        # In WAL mode a crash of the process loses nothing even so; FULL also survives the loss of power.
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that reads before it writes would otherwise fail, not wait, when another one wrote meanwhile.
        writes = connection.get_execution_options().get("writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _create(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Processes that start together take turns; the number is this schema's own.
        connection.execute(text("SELECT pg_advisory_xact_lock(8607118)"))
    if not inspect(connection).has_table(META.name):
        _metadata.create_all(connection)
        connection.execute(insert(META).values(name="schema", value=str(VERSION)))
        return
    found = connection.scalar(select(META.c.value).where(META.c.name == "schema"))
    if found == "1":
        _migrate(connection)
    elif found != str(VERSION):
        raise ConfigError(
            f"broker.database: it has schema {found}, and this release knows schema {VERSION}; "
            "update VVOS, or name another database."
        )


def _migrate(connection: Connection) -> None:
    """Version 1 to 2: tables and columns are added, and nothing that is there changes."""
    columns = {column["name"] for column in inspect(connection).get_columns(UPLOADS.name)}
    if UPLOADS.c.claimed_at.name not in columns:
        kind = UPLOADS.c.claimed_at.type.compile(connection.dialect)
        connection.execute(text(f"ALTER TABLE {UPLOADS.name} ADD COLUMN {UPLOADS.c.claimed_at.name} {kind}"))
    _metadata.create_all(connection)
    for table in (GRANTS, UPLOADS):
        for index in table.indexes:
            index.create(connection, checkfirst=True)
    connection.execute(update(META).where(META.c.name == "schema").values(value=str(VERSION)))
