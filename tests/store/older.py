"""Databases as earlier versions of Helix left them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from helix.chain import origin_of
from helix.documents.ids import public_id
from helix.store.sqlite.file import APPLICATION_ID
from helix.store.upgrades import shipped_upgrades
from tests.support.postgres import PostgresServer

T0 = 1_700_000_000.25

CLIENTS = ("page-1", "caf\u00e9 \U0001f600", "a\0b\x1ac\x1a", public_id("page-1"))
"""
Who submitted the entries 1, 2, 3, ... with the ``op_id`` 7, by names that are secrets now: the last
by what the first is called from then on.
"""

BEFORE_CHAINS = 2
"""The last schema without them."""

EPOCH = "Hk3m1s0aTqmQ0VbP7cXrWg"
PATCH = '{{"title":"{version}"}}'


def _packed(text: str) -> str:
    return text.replace("\x1a", "\x1a\2").replace("\0", "\x1a\1")


def make_sqlite(path: Path, schema: int, flow_id: str = "f") -> None:
    """
    Make a file of a schema. Its log has an entry of each client, and one more, all of before there
    were chains.
    """
    upgrades = shipped_upgrades("sqlite")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.create_function("helix_origin", 1, origin_of, deterministic=True)
        database.create_function("helix_public_id", 1, public_id, deterministic=True)
        for upgrade in upgrades[: min(schema, BEFORE_CHAINS)]:
            database.executescript(upgrade.sql)
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {schema}")
        newest = len(CLIENTS) + 1
        database.execute(
            "INSERT INTO flows (flow, flow_id, epoch, version, node_count, edge_count, created_at,"
            " updated_at) VALUES (1, ?, ?, ?, 0, 0, ?, ?)",
            (flow_id, EPOCH, newest, T0, T0 + newest),
        )
        database.execute(
            "INSERT INTO texts VALUES (1, ?, '', ?, ?, '')", (str(newest), flow_id, str(newest))
        )
        for client, name in enumerate(CLIENTS, 1):
            database.execute("INSERT INTO clients VALUES (?, 1, ?)", (client, name))
        for version in range(1, newest + 1):
            client_id = version if version < newest else None
            database.execute(
                "INSERT INTO entries VALUES (1, ?, ?, 'Ada', ?, ?, ?)",
                (
                    version,
                    T0 + version,
                    client_id,
                    client_id and 7,
                    PATCH.format(version=version),
                ),
            )
        for upgrade in upgrades[BEFORE_CHAINS:schema]:
            database.executescript(upgrade.sql)


def make_postgres(server: PostgresServer, database: str, schema: int, flow_id: str = "f") -> None:
    """Make the tables of a schema, with such a log as `make_sqlite`."""
    texts = [f"'{_packed(name)}'" for name in CLIENTS]
    newest = len(CLIENTS) + 1
    upgrades = [upgrade.sql for upgrade in shipped_upgrades("postgresql")]
    sql = upgrades[: min(schema, BEFORE_CHAINS)]
    sql.append("CREATE TABLE helix_schema (number integer PRIMARY KEY, name text NOT NULL);")
    sql += [f"INSERT INTO helix_schema VALUES ({n}, 'x');" for n in range(1, schema + 1)]
    sql.append(
        "INSERT INTO helix_flows (flow_id, version, created_at, updated_at, node_count, edge_count,"
        f" epoch, title, description, search) VALUES ('{flow_id}', {newest}, {T0}, {T0 + newest},"
        f" 0, 0, '{EPOCH}', '{newest}', '', '');"
    )
    for version in range(1, newest + 1):
        client, op = (texts[version - 1], "7") if version < newest else ("NULL", "NULL")
        patch = PATCH.format(version=version)
        sql.append(
            "INSERT INTO helix_entries (flow, version, at, op_id, client_id, by, patch)"
            f" VALUES (1, {version}, {T0 + version}, {op}, {client}, 'Ada', '{patch}');"
        )
    server.execute("\n".join([*sql, *upgrades[BEFORE_CHAINS:schema]]), database)
