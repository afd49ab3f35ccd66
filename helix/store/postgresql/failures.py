"""What PostgreSQL's errors mean for Helix."""

from __future__ import annotations

import re

import psycopg2

from helix.errors import (
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)
from helix.store.postgresql.address import Address


class ConnectionGone(StoreUnavailable):
    """The connection broke during a statement, which may have taken effect."""


class Refused(StoreError):
    """The server refused the connection; another try would not help."""


class CutAtBegin(StoreUnavailable):
    """A pooler took a statement, and then cut the connection at the start of a transaction."""


class NotKept(StoreError):
    """A statement that was to be kept isn't, or was before; nothing was done."""


class Unfit(StoreError):
    """The data to write is invalid, and nothing of it was written."""

    default_message = "PostgreSQL can't keep this: a text or a number in it is out of bounds"


class Clash(Unfit):
    """The data to write exists already."""


_BY_STATE: dict[str, type[StoreError]] = {
    "25006": StoreReadOnly,
    "53100": StoreFull,
    "XX001": StoreCorrupt,
    "XX002": StoreCorrupt,
}
# The server is busy, short of something, or gave way to somebody else: nothing was written.
_PASSING = ("40", "53", "55", "57")
# The connection itself failed, or the server ended it.
_CONNECTION = ("08", "57P")
_UNFIT = ("22", "23", "54")

# Of an attempt to connect there is only a text, so its words are all there is to go by.
_REFUSALS = (
    (r"password", "Put the role's password into the URL, or into ~/.pgpass"),
    (r"pg_hba\.conf", "Let the role in with a line in the server's pg_hba.conf"),
    (r"authentication failed", "Let the role in with a line in the server's pg_hba.conf"),
    (r"database .* does not exist", "Make it with createdb, or correct its name in the URL"),
    (r"role .* does not exist", "Make it with createuser, or correct its name in the URL"),
    (r"not permitted to log in", "Allow it with ALTER ROLE ... LOGIN"),
    (r"permission denied for database", "Grant the role CONNECT on the database"),
    (
        r"unsupported startup parameter",
        "A pooler doesn't take it: put options into the URL, from where Helix sets them itself",
    ),
)
_ONLY_READS = ("session is read-only", "server is in hot standby mode")

STATEMENT_POOLING = (
    "A pooler in front of PostgreSQL allows no transactions of several statements (PgBouncer:"
    " pool_mode = statement): Helix needs pool_mode = session or transaction"
)


def explain(error: BaseException, is_gone: bool = False) -> StoreError:
    """
    Turn what a statement failed with into what we say; without any data of it.

    :param is_gone: whether the connection is.
    :return: a `ConnectionGone` where the error is the connection's.
    """
    if is_gone:
        return ConnectionGone()
    state = error.pgcode if isinstance(error, psycopg2.Error) else None
    if state is None or state.startswith(_CONNECTION):
        return ConnectionGone()
    if state == "23505":
        return Clash()
    if state in ("26000", "42P05"):
        return NotKept()
    if state.startswith(_UNFIT):
        return Unfit()
    if state in _BY_STATE:
        return _BY_STATE[state]()
    if state.startswith(_PASSING):
        return StoreUnavailable()
    if state == "42501":
        return StoreError(
            "The PostgreSQL role may not do this: make it the owner of the database and its tables"
        )
    if state in ("42P01", "42703", "3F000"):
        return StoreError("The tables in the PostgreSQL database are not those of Helix")
    return StoreError(f"PostgreSQL refused a statement (SQLSTATE {state})")


def explain_attempt(error: BaseException, address: Address) -> StoreError:
    """
    Turn what became of an attempt to connect into what we say.

    :return: a `Refused` where the server, or its settings, have to be changed first; a
        `StoreReadOnly` where the URL asks for another one; else a `StoreUnavailable`.
    """
    lines = address.without_password(str(error)).strip().splitlines() or [type(error).__name__]
    fatal = [line for line in lines if "FATAL:" in line]
    said = fatal[-1].rpartition("FATAL:")[2].strip() if fatal else lines[0]
    for words, advice in _REFUSALS:
        if re.search(words, said):
            return Refused(f"{address} refuses the connection: {said}. {advice}")
    if any(words in " ".join(lines) for words in _ONLY_READS):
        return StoreReadOnly(f"{address} takes no writes")
    return StoreUnavailable(f"{address} can't be reached: {said}")
