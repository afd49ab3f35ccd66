"""The SQL statements of the PostgreSQL store but for what adds entries; parameters and results."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from helix.errors import StoreCorrupt
from helix.records import (
    LISTED_DESCRIPTION,
    LISTED_TITLE,
    NOBODY,
    Author,
    Entry,
    FlowHead,
    HeadQuery,
    NamedVersion,
    Summary,
)
from helix.store.authors import (
    REMEMBERED,
    decode_parts,
    from_parts,
    parts_of,
)
from helix.store.postgresql.wire import Row
from helix.store.rules import FEW_FLOWS, LISTED_FLOWS, SOUGHT_SUBJECTS

CHAIN = """COALESCE((SELECT chain FROM helix_entries WHERE helix_entries.flow = helix_flows.key
        AND helix_entries.version = helix_flows.version), helix_flows.origin)"""

_HEAD = """flow_id, epoch, version, title, description, node_count, edge_count,
    created_at, updated_at, origin, {} AS chain, deleted_at"""
HEAD = _HEAD.format(CHAIN)
HEAD_IN_LIST = _HEAD.format("NULL::bytea")
BRIEF_HEAD = HEAD_IN_LIST.replace(
    "title, description",
    f"left(title, {LISTED_TITLE}), left(description, {LISTED_DESCRIPTION})",
)

ENTRY_COLUMNS = "version, patch, at, by, client_id, op_id, chain, dropped"

# The author is a JSON array of its columns, as text.
ENTRY = f"""{ENTRY_COLUMNS}, CASE WHEN author > 0 THEN (
        SELECT json_build_array(authors.by, actor_id, kind, name, tags)::text
        FROM helix_authors AS authors
        WHERE authors.flow = helix_entries.flow AND authors.author = helix_entries.author
    ) END AS described"""

CREATE = """
INSERT INTO helix_flows (flow_id, epoch, version, created_at, updated_at, title, description,
    node_count, edge_count, search, origin)
VALUES (%(flow_id)s, %(epoch)s, %(version)s, %(created_at)s, %(updated_at)s, %(title)s,
    %(description)s, %(node_count)s, %(edge_count)s, decode(%(search)s, 'hex'),
    %(origin)s)
ON CONFLICT (flow_id) DO NOTHING RETURNING key
"""

LOAD = f"""
SELECT {HEAD}, key, COALESCE(snapshot_version, 0), document
FROM helix_flows LEFT JOIN LATERAL (
    SELECT helix_snapshots.version AS snapshot_version, document FROM helix_snapshots
    WHERE flow = key AND helix_snapshots.version <= COALESCE(%(version)s, helix_flows.version)
    ORDER BY helix_snapshots.version DESC LIMIT 1
) AS snapshot ON true
WHERE flow_id = %(flow_id)s
"""

LOG = "SELECT key FROM helix_flows WHERE flow_id = %(flow_id)s AND epoch = %(epoch)s"

TAIL = f"""
SELECT {ENTRY} FROM helix_entries
WHERE flow = %(key)s AND version > %(after)s AND version <= %(end)s
ORDER BY version LIMIT %(limit)s
"""

# How large a patch is, is known without reading it.
ENTRIES = f"""
SELECT {", ".join(f"entry.{column}" for column in [*ENTRY_COLUMNS.split(", "), "described"])}
FROM helix_flows LEFT JOIN LATERAL (
    SELECT {ENTRY}, octet_length(patch) AS size,
        sum(octet_length(patch)) OVER (ORDER BY version) AS total
    FROM helix_entries WHERE flow = key AND helix_entries.version > %(after)s
    ORDER BY version LIMIT %(limit)s
) AS entry ON entry.total <= %(bytes)s OR entry.total = entry.size
WHERE flow_id = %(flow_id)s AND epoch = %(epoch)s ORDER BY entry.version
"""

FIND = f"""
SELECT {ENTRY} FROM helix_entries
WHERE flow = ({LOG}) AND client_id = %(client_id)s AND op_id = ANY(%(op_ids)s)
ORDER BY version
"""

NEWEST_OP = f"""
SELECT max(op_id) FROM helix_entries WHERE flow = ({LOG}) AND client_id = %(client_id)s
"""

# What removes the flow waits for the lock, and then removes the snapshot too.
KEEP_SNAPSHOT = """
INSERT INTO helix_snapshots (flow, version, document)
SELECT key, %(version)s, %(document)s
FROM (
    SELECT key, version, origin FROM helix_flows
    WHERE flow_id = %(flow_id)s AND epoch = %(epoch)s FOR KEY SHARE
) AS log
WHERE %(version)s BETWEEN 0 AND version AND %(chain)s = COALESCE(
    (SELECT chain FROM helix_entries WHERE flow = key AND helix_entries.version = %(version)s),
    origin)
ON CONFLICT DO NOTHING RETURNING flow
"""

SNAPSHOT_VERSIONS = f"""
SELECT snapshots.version FROM ({LOG}) AS log
LEFT JOIN helix_snapshots AS snapshots ON flow = key ORDER BY snapshots.version
"""

SIZES = """
SELECT COALESCE((SELECT sum(octet_length(patch)) FROM helix_entries
    WHERE flow = %(key)s AND version > step.after AND version <= step.version), 0)
FROM unnest(%(after)s::bigint[], %(decided)s::bigint[]) WITH ORDINALITY
    AS step (after, version, place)
ORDER BY place
"""

THIN_OUT = "DELETE FROM helix_snapshots WHERE flow = %(key)s AND version = ANY(%(versions)s)"

# Whoever appends, names or deletes waits for each other.
LOCK_LOG = """
SELECT key, version, deleted_at IS NOT NULL FROM helix_flows
WHERE flow_id = %(flow_id)s AND epoch = %(epoch)s FOR NO KEY UPDATE
"""

LOCK_FLOW = f"""
SELECT key, epoch, version, {CHAIN}, deleted_at IS NOT NULL FROM helix_flows
WHERE flow_id = %(flow_id)s FOR NO KEY UPDATE
"""

_NAMED = "{0}version, name, by, at, actor_id, kind, actor_name, tags"

NAME_OF = f"""
SELECT {_NAMED.format("")} FROM helix_version_names
WHERE flow = %(key)s AND version = %(version)s
"""

COUNT_NAMES = "SELECT count(*) FROM helix_version_names WHERE flow = %(key)s"

NAMED_VERSIONS = f"""
SELECT {_NAMED.format("names.")} FROM ({LOG}) AS log
LEFT JOIN helix_version_names AS names ON flow = key ORDER BY names.version DESC
"""

KEEP_NAME = """
INSERT INTO helix_version_names (flow, version, name, at, by, actor_id, kind, actor_name, tags)
VALUES (%(key)s, %(version)s, %(name)s, %(at)s, %(by)s, %(actor_id)s, %(kind)s, %(actor_name)s,
    %(tags)s)
ON CONFLICT (flow, version) DO UPDATE SET name = excluded.name, at = excluded.at,
    by = excluded.by, actor_id = excluded.actor_id, kind = excluded.kind,
    actor_name = excluded.actor_name, tags = excluded.tags
"""

DROP_NAME = """
DELETE FROM helix_version_names WHERE flow = %(key)s AND version = %(version)s RETURNING version
"""

HEAD_OF = f"SELECT {HEAD} FROM helix_flows WHERE flow_id = %(flow_id)s"

ENDS = f"""
SELECT flow_id, epoch, version, {CHAIN}, deleted_at IS NOT NULL FROM helix_flows
WHERE flow_id = ANY(%(flow_ids)s)
"""

DELETE = f"""
UPDATE helix_flows SET deleted_at = COALESCE(deleted_at, %(at)s) WHERE flow_id = %(flow_id)s
RETURNING {HEAD}
"""

UNDELETE = f"""
UPDATE helix_flows SET deleted_at = NULL WHERE flow_id = %(flow_id)s RETURNING {HEAD}
"""

# Of what is removed first: none of it can be added to after that.
REMOVE_DELETED = """
DELETE FROM helix_flows WHERE flow_id = %(flow_id)s AND deleted_at IS NOT NULL RETURNING key
"""

REMOVE_OLD = """
DELETE FROM helix_flows WHERE flow_id IN (
    SELECT flow_id FROM helix_flows WHERE deleted_at < %(before)s
    ORDER BY flow_id LIMIT %(limit)s FOR UPDATE
) RETURNING key
"""

RENEW_EPOCH = "UPDATE helix_flows SET epoch = %(epoch)s WHERE key = %(key)s"

# Locked in the order of their ids, as by appends.
RENEW_EPOCHS = """
WITH locked AS MATERIALIZED (
    SELECT flow_id FROM helix_flows ORDER BY flow_id FOR NO KEY UPDATE
), renewed AS (
    UPDATE helix_flows SET epoch = %(epoch)s FROM locked
    WHERE helix_flows.flow_id = locked.flow_id RETURNING 1
) SELECT count(*) FROM renewed
"""

# Each sees what was committed before the flow could be locked.
REMOVE_LOGS = (
    "DELETE FROM helix_entries WHERE flow = ANY(%(keys)s)",
    "DELETE FROM helix_snapshots WHERE flow = ANY(%(keys)s)",
    "DELETE FROM helix_version_names WHERE flow = ANY(%(keys)s)",
    "DELETE FROM helix_access WHERE flow = ANY(%(keys)s)",
    "DELETE FROM helix_authors WHERE flow = ANY(%(keys)s)",
)


# By the indexes of the ids and of the subjects. The planner can't be left to choose between these
# and the index of the changes: it knows too little of how many flows there are. One may be found
# twice.
_FEW = """
WITH {listed} found AS MATERIALIZED (
    SELECT * FROM (
        SELECT flows.flow_id, NULL::bigint AS flow FROM unnest(%(ids)s::text[]) AS one
        CROSS JOIN LATERAL (
            SELECT flow_id FROM helix_flows WHERE flow_id = one COLLATE "C" OFFSET 0
        ) AS flows
        UNION ALL
        SELECT flows.flow_id, NULL
        FROM unnest(%(starts)s::text[], %(stops)s::text[]) AS span (start, stop)
        CROSS JOIN LATERAL (
            SELECT flow_id FROM helix_flows
            WHERE flow_id >= start COLLATE "C" AND flow_id < stop COLLATE "C" OFFSET 0
        ) AS flows
        {of_subjects}
    ) AS found LIMIT %(few)s + 1
), few AS MATERIALIZED (
    SELECT flows.* FROM (
        SELECT flow_id, bool_or(flow IS NULL) AS is_named, array_agg(flow) AS keys
        FROM found WHERE (SELECT count(*) FROM found) <= %(few)s GROUP BY flow_id
    ) AS one
    CROSS JOIN LATERAL (
        SELECT * FROM helix_flows WHERE helix_flows.flow_id = one.flow_id OFFSET 0
    ) AS flows
    WHERE is_named OR key = ANY(keys)
)
"""

# The flows of subjects, each with the key of its log.
_GIVEN = """
    SELECT given.flow_id, given.flow FROM unnest(%(subjects)s::text[]) AS one
    CROSS JOIN LATERAL (
        SELECT flow_id, flow FROM helix_access
        WHERE subject = one COLLATE "C" AND role >= %(least)s OFFSET 0
    ) AS given
"""

_OF_SUBJECTS = f"UNION ALL ({_GIVEN})"

_LISTED = f"listed AS MATERIALIZED ({_GIVEN} LIMIT %(listed)s + 1),"

# Of many, some are soon found among the flows that changed last.
_AMONG_MANY = """(flow_id = ANY(%(ids)s) OR EXISTS (
    SELECT 1 FROM unnest(%(starts)s::text[], %(stops)s::text[]) AS span (start, stop)
    WHERE flow_id >= start AND flow_id < stop
){of_subjects})"""

# Of each flow on the way it is asked whether it is one of those that are listed, or what it gives,
# where they are too many to be listed: so that one is soon met. (A LIMIT keeps the planner from
# looking up all that are given first.)
_IS_GIVEN = """ OR CASE WHEN (SELECT count(*) FROM listed) <= %(listed)s
    THEN (flow_id, key) IN (SELECT flow_id, flow FROM listed)
    ELSE (
        SELECT true FROM helix_access
        WHERE flow = key AND {among} AND role >= %(least)s LIMIT 1
    ) IS NOT NULL END"""


def among_subjects(subjects: Sequence[str]) -> str:
    """
    Give the condition that a row of one flow is of one of these subjects: of many, none is looked
    for by the index.
    """
    column = "subject" if len(subjects) <= SOUGHT_SUBJECTS else "(subject || '')"
    return f"{column} = ANY(%(subjects)s)"


def list_heads(query: HeadQuery) -> tuple[str, dict[str, object]]:
    """
    Give the statement that lists flows, and its parameters.

    Bytes of UTF-8 are compared, which the database's collation and case rules don't touch.
    """
    where = ["deleted_at IS NOT NULL" if query.deleted else "deleted_at IS NULL"]
    parameters: dict[str, object] = {"limit": query.limit}
    if query.before is not None:
        where.append("(updated_at, flow_id) < (%(before_at)s, %(before_id)s)")
        parameters["before_at"] = query.before[0]
        parameters["before_id"] = pack(query.before[1])
    if query.text:
        where.append("position(decode(%(text)s, 'hex') IN search) > 0")
        parameters["text"] = _fold(query.text).hex()
    for n, (column, operator, value) in enumerate(query.comparisons):
        where.append(f"{column} {operator} %(bound{n})s")
        parameters[f"bound{n}"] = value
    columns = BRIEF_HEAD if query.brief else HEAD_IN_LIST
    order = "ORDER BY updated_at DESC, flow_id DESC LIMIT %(limit)s"
    listed = f"SELECT {columns} FROM {{}} WHERE {' AND '.join(where)}"
    if query.scope is None:
        return f"{listed.format('helix_flows')} {order}", parameters
    ranges = query.scope.ranges
    parameters |= {
        "ids": [pack(one) for one in query.scope.ids],
        "starts": [pack(start) for start, _ in ranges],
        "stops": [pack(stop) for _, stop in ranges],
        "few": FEW_FLOWS,
    }
    begin, many = _FEW.format(listed="", of_subjects=""), _AMONG_MANY.format(of_subjects="")
    if query.scope.subjects:
        parameters |= {
            "subjects": [pack(subject) for subject in query.scope.subjects],
            "least": query.scope.least_role,
            "listed": LISTED_FLOWS,
        }
        begin = _FEW.format(listed=_LISTED, of_subjects=_OF_SUBJECTS)
        given = _IS_GIVEN.format(among=among_subjects(query.scope.subjects))
        many = _AMONG_MANY.format(of_subjects=given)
    is_few = "(SELECT count(*) FROM found) <= %(few)s"
    among_few = f"{listed.format('few AS helix_flows')} AND {is_few}"
    among_many = f"{listed.format('helix_flows')} AND NOT {is_few} AND {many}"
    return f"{begin} ({among_few} {order}) UNION ALL ({among_many} {order})", parameters


def write_head(head: FlowHead) -> dict[str, object]:
    """Give the parameters of `CREATE`."""
    return {
        "flow_id": pack(head.flow_id),
        "epoch": pack(head.epoch),
        "version": head.version,
        "created_at": head.created_at,
        "updated_at": head.updated_at,
        "title": pack(head.summary.title),
        "description": pack(head.summary.description),
        "node_count": head.summary.node_count,
        "edge_count": head.summary.edge_count,
        "search": searchable(head.flow_id, head.summary).hex(),
        "origin": head.origin,
    }


_decode_paths = msgspec.json.Decoder(tuple[str, ...]).decode


def searchable(flow_id: str, summary: Summary) -> bytes:
    """Give what a list is searched in: a query finds no match across its parts."""
    return b"\xff".join([_fold(flow_id), _fold(summary.title), _fold(summary.description)])


def _fold(text: str) -> bytes:
    return text.casefold().encode("utf-8", "surrogatepass")


def literal(text: str) -> str:
    """
    Write a text without NUL as SQL. It means the same with ``standard_conforming_strings`` off.
    """
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"


def pack(text: str) -> str:
    """Give a text as a column can hold it: PostgreSQL's texts have no NUL."""
    if "\0" in text or "\x1a" in text:
        return text.replace("\x1a", "\x1a\2").replace("\0", "\x1a\1")
    return text


def pack_any(text: str | None) -> str | None:
    """As `pack`; nothing stays nothing."""
    return None if text is None else pack(text)


def unpack_any(text: str | None) -> str | None:
    """Turn `pack_any` around."""
    return None if text is None else unpack(text)


def unpack(text: str) -> str:
    """Turn `pack` around."""
    if "\x1a" in text:
        # One at the end was cut off from what follows it. (`BRIEF_HEAD`)
        whole = text.removesuffix("\x1a")
        return whole.replace("\x1a\1", "\0").replace("\x1a\2", "\x1a")
    return text


def read_head(row: Row) -> FlowHead:
    """Give the head that the columns `HEAD` are."""
    flow_id, epoch, version, title, description, nodes, edges, created, updated, *rest = row
    origin, chain, deleted = rest
    summary = Summary(unpack(title), unpack(description), nodes, edges)
    return FlowHead(
        unpack(flow_id),
        unpack(epoch),
        version,
        summary,
        created,
        updated,
        bytes(origin),
        bytes(chain or b""),
        deleted,
    )


@lru_cache(REMEMBERED)
def _read_author(text: str | None) -> Author:
    """Read an author as `ENTRY` has it; ``None`` for an entry that has none."""
    if text is None:
        return NOBODY
    return from_parts(map(unpack_any, decode_parts(text)))


def read_entry(row: Row) -> Entry:
    """Give the entry that the columns `ENTRY` are."""
    version, patch, at, by, client_id, op_id, chain, dropped, described = row
    if client_id is not None:
        client_id = unpack(client_id)
    try:
        paths = _decode_paths(unpack(dropped)) if dropped else ()
        author = _read_author(described)
    except msgspec.MsgspecError:
        raise StoreCorrupt() from None
    return Entry(
        version,
        unpack(patch).encode(),
        at,
        unpack(by) if described is None else author.by,
        client_id,
        op_id,
        paths,
        bytes(chain or b""),
        author.actor,
        author.tags,
    )


def read_name(row: Row) -> NamedVersion:
    """Give the named version that a row of `NAME_OF` is."""
    version, name, by, at, *parts = row
    author = from_parts(map(unpack_any, (by, *parts)))
    return NamedVersion(version, unpack(name), author.by, at, author.actor, author.tags)


def write_name(named: NamedVersion) -> dict[str, object]:
    """Give the parameters of `KEEP_NAME`, but for the log's key."""
    columns = ("by", "actor_id", "kind", "actor_name", "tags")
    parts = parts_of(Author(named.by, named.actor, named.tags))
    written: dict[str, object] = dict(zip(columns, map(pack_any, parts), strict=True))
    return written | {"version": named.version, "name": pack(named.name), "at": named.at}
