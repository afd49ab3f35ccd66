"""The JSON form of flows, their logs and templates in REST answers."""

from __future__ import annotations

from typing import Any

import msgspec

from helix.chain import chain_text
from helix.documents.templates import Template
from helix.flows.everywhere import Known
from helix.log.edits import FlowState
from helix.records import Entry, FlowHead, NamedVersion, OpenFlow, describe_author


def describe_flow(head: FlowHead) -> dict[str, object]:
    """Describe a flow without its document."""
    described: dict[str, object] = {
        "id": head.flow_id,
        "title": head.summary.title,
        "description": head.summary.description,
        "epoch": head.epoch,
        "version": head.version,
        "node_count": head.summary.node_count,
        "edge_count": head.summary.edge_count,
        "created_at": head.created_at,
        "updated_at": head.updated_at,
    }
    if head.deleted_at is not None:
        described["deleted_at"] = head.deleted_at
    return described


def describe_state(state: FlowState) -> dict[str, object]:
    """Describe a flow as of a version, but for its document."""
    head = state.head
    return {
        "id": head.flow_id,
        "title": head.summary.title,
        "epoch": head.epoch,
        "version": state.version,
        "created_at": head.created_at,
        "updated_at": head.updated_at,
    }


def describe_entry(entry: Entry) -> dict[str, object]:
    """Describe an entry of a log."""
    described = {
        "version": entry.version,
        "client_id": entry.client_id,
        "op_id": entry.op_id,
        "patch": msgspec.Raw(entry.patch),
        "by": entry.by,
        "at": entry.at,
        "dropped": entry.dropped,
        "chain": chain_text(entry.chain) if entry.chain else None,
    }
    return described | describe_author(entry)


def describe_named(named: NamedVersion) -> dict[str, object]:
    """Describe a version that has a name."""
    described = {
        "version": named.version,
        "name": named.name,
        "by": named.by,
        "at": named.at,
    }
    return described | describe_author(named)


def describe_completeness(known: Known[Any]) -> dict[str, object]:
    """Say so where a node hasn't said its part."""
    return {} if known.is_complete else {"complete": False}


def describe_open_flow(flow: OpenFlow) -> dict[str, object]:
    """Describe a flow that somebody has open."""
    return {
        "flow_id": flow.flow_id,
        "client_count": flow.client_count,
        "started_at": int(flow.started_at),
        "last_activity": int(flow.last_activity),
    }


def outline_template(template: Template) -> dict[str, object]:
    """Describe a template without its document."""
    return {
        "id": template.id,
        "name": template.name,
        "description": template.description,
        "category": template.category,
        "node_count": len(template.document["nodes"]),
        "edge_count": len(template.document["edges"]),
    }
