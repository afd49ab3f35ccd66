"""Copies a document: the same graph with new ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from helix.documents.document import JsonObject
from helix.documents.kinds import link_fields

COPY = "(Copy)"

_NODE_REFERENCES = ("parentId", "parentNode")
"""The fields in which a node names another; ``parentNode`` is React Flow 11's name."""


def duplicate(document: JsonObject, new_id: Callable[[], str]) -> JsonObject:
    """
    Copy a document, with new ids for its nodes and edges, and "(Copy)" after its title.

    References to a node become references to its copy: the ends of edges, the parents of nodes, and
    the links in their data. (`helix.documents.kinds`)

    :param new_id: makes ids.
    :return: the copy, which shares what is inside of nodes and edges with ``document``.
    """
    ids = {node_id: new_id() for node_id in document["nodes"]}
    nodes: JsonObject = {}
    for node_id, node in document["nodes"].items():
        references = {
            name: ids[node[name]]
            for name in _NODE_REFERENCES
            if isinstance(node.get(name), str) and node[name] in ids
        }
        data = _with_links_led(node["data"], ids)
        nodes[ids[node_id]] = node | references | {"id": ids[node_id], "data": data}
    edges: JsonObject = {}
    for edge in document["edges"].values():
        ends = {end: ids[edge[end]] for end in ("source", "target")}
        edge_id = new_id()
        edges[edge_id] = edge | ends | {"id": edge_id}
    title = f"{document['title']} {COPY}".lstrip()
    return document | {"title": title, "nodes": nodes, "edges": edges}


def _with_links_led(data: JsonObject, ids: Mapping[str, str]) -> JsonObject:
    """Lead the links in a node's data to other nodes; what is no list of ids stays."""
    led = {
        name: [ids.get(one, one) if isinstance(one, str) else one for one in data[name]]
        for name in link_fields()
        if isinstance(data.get(name), list)
    }
    return data | led if led else data
