"""The database's schema, brought to what this version needs."""

from __future__ import annotations

from helix.errors import StoreError
from helix.store.postgres.wire import Connection
from helix.store.upgrades import needed_upgrades, shipped_upgrades

_LOCK = 0x68656C6978  # "helix"; who upgrades this database holds it

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
    if await connection.ask(_ENCODING) != [("UTF8",)]:
        raise StoreError(
            "The PostgreSQL database doesn't hold UTF-8: make one with createdb --encoding=UTF8"
            " --template=template0"
        )
    await connection.transaction(lambda: _upgrade(connection))


async def _upgrade(connection: Connection) -> None:
    await connection.ask("SELECT pg_advisory_xact_lock(%(lock)s)", {"lock": _LOCK})
    has_number = (await connection.ask(_HAS_NUMBER))[0][0]
    current = (await connection.ask(_NUMBER))[0][0] if has_number else 0
    needed = needed_upgrades(shipped_upgrades("postgresql"), current)
    if needed and not has_number:
        await connection.ask(_MAKE_NUMBER)
    for upgrade in needed:
        await connection.ask(upgrade.sql, seconds=connection.bounds.long_answer)
        await connection.ask(_ADD_NUMBER, {"number": upgrade.number, "name": upgrade.name})
