"""The PostgreSQL schema, and its upgrade to the version that Helix needs."""

from __future__ import annotations

from helix.errors import StoreError
from helix.store.postgresql.failures import (
    STATEMENT_POOLING,
    ConnectionGone,
    CutAtBegin,
    Refused,
)
from helix.store.postgresql.wire import Connection
from helix.store.upgrades import check_current, needed_upgrades, shipped_upgrades

UPGRADE_LOCK = 0x68656C6978  # "helix"; who upgrades this database holds it

_MARK = "helix.transaction"
_ENCODING = "SELECT current_setting('server_encoding')"
_HAS_NUMBER = "SELECT to_regclass('helix_schema') IS NOT NULL"
_NUMBER = "SELECT COALESCE(max(number), 0) FROM helix_schema"
_MAKE_NUMBER = "CREATE TABLE helix_schema (number integer PRIMARY KEY, name text NOT NULL)"
_ADD_NUMBER = "INSERT INTO helix_schema (number, name) VALUES (%(number)s, %(name)s)"


async def bring_up_to_date(connection: Connection) -> None:
    """
    Apply the upgrades that are missing: all, or none. Of several nodes one does, and others wait.

    :raises SchemaMismatch: when the schema is that of a newer version.
    :raises StoreError: when the database can't be used, or the role may not change it.
    """
    await _check_use(connection)
    await connection.transaction(lambda: _upgrade(connection))


async def check(connection: Connection) -> None:
    """
    See that a database can be read without an upgrade.

    :raises SchemaMismatch: when its schema is another one.
    :raises StoreError: when the database can't be used.
    """
    await _check_use(connection)
    check_current(shipped_upgrades("postgresql"), await _number(connection))


async def _check_use(connection: Connection) -> None:
    if connection.is_pooled:
        try:
            await connection.transaction(lambda: _check_transaction(connection))
        except ConnectionGone:
            raise CutAtBegin() from None
    if await connection.ask(_ENCODING) != [("UTF8",)]:
        raise StoreError(
            "The PostgreSQL database doesn't hold UTF-8: make one with createdb --encoding=UTF8"
            " --template=template0"
        )


async def _check_transaction(connection: Connection) -> None:
    """See that what one statement of a transaction sets is there in the next one."""
    await connection.ask(f"SET LOCAL {_MARK} = 'here'")
    if await connection.ask(f"SELECT current_setting('{_MARK}', true)") != [("here",)]:
        raise Refused(STATEMENT_POOLING)


async def _number(connection: Connection) -> int:
    """Give the number of the schema, 0 for none."""
    if not (await connection.ask(_HAS_NUMBER))[0][0]:
        return 0
    number: int = (await connection.ask(_NUMBER))[0][0]
    return number


async def _upgrade(connection: Connection) -> None:
    # Another node may be at it; this and all that follows may take as long as an upgrade does.
    seconds = connection.bounds.upgrade
    await connection.ask("SELECT pg_advisory_xact_lock(%(lock)s)", {"lock": UPGRADE_LOCK}, seconds)
    needed = needed_upgrades(shipped_upgrades("postgresql"), await _number(connection))
    if needed and not (await connection.ask(_HAS_NUMBER))[0][0]:
        await connection.ask(_MAKE_NUMBER)
    for upgrade in needed:
        await connection.ask(upgrade.sql, seconds=seconds)
        await connection.ask(_ADD_NUMBER, {"number": upgrade.number, "name": upgrade.name})
