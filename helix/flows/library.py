"""Operations on stored flows: list, read, create, edit, delete and restore them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from helix.chain import chain_text, chained, origin_of
from helix.documents.decoding import decode_in_parts
from helix.documents.document import (
    DocumentLimits,
    FlowDocument,
    JsonObject,
    deleted_nodes,
    diff,
    empty_document,
    validate_new,
    validate_past,
)
from helix.documents.duplicating import duplicate
from helix.documents.encoding import encode_in_parts
from helix.documents.importing import FORMAT, FORMAT_VERSION, complete, read_import
from helix.documents.templates import Template
from helix.errors import FlowDeleted, FlowExists, TemplateNotFound
from helix.flows.loads import Loads
from helix.flows.reading import FlowReader
from helix.flows.rewriting import Rewriting
from helix.flows.service import FlowSessionService
from helix.limits.rate_limit import Charge
from helix.log.edits import Accepted, Check, FlowState, Permit, Submission, summary_of
from helix.log.replaying import LogSettings
from helix.records import NOBODY, Author, Entry, FlowHead, HeadQuery, Summary

_Validate = Callable[[JsonObject, DocumentLimits], JsonObject]


@attrs.frozen
class EntryPage:
    """
    Some of a log's entries.

    :ivar next: the version after which the log continues; ``None`` at its end.
    """

    epoch: str
    entries: list[Entry]
    next: int | None


@attrs.frozen
class ImportedFlow:
    """
    A flow that was made from a file.

    :ivar dropped_nodes: how many nodes the file had that could not be kept.
    :ivar dropped_edges: likewise.
    :ivar dropped_parents: likewise; the nodes were kept.
    """

    state: FlowState
    dropped_nodes: int
    dropped_edges: int
    dropped_parents: int


class FlowLibrary:
    """
    The stored flows.

    The result of an operation is durable. Edits go through the flow's session, so that its members
    see them at once. Cancelling an operation doesn't stop it.

    :param logs: the store, and what else the logs share.
    :param new_id: makes ids, each unlike any other.
    :param templates: what a flow can be made from.
    """

    def __init__(
        self,
        service: FlowSessionService,
        logs: LogSettings,
        new_id: Callable[[], str],
        templates: Sequence[Template],
    ) -> None:
        self.limits = logs.limits
        self.templates = templates
        self._service = service
        self._loads = Loads()
        self._reader = FlowReader(service, self._loads, logs.apart)
        self._store = logs.store
        self._wall = logs.wall
        self._new_epoch = logs.new_epoch
        self._made = logs.made
        self._nodes = logs.nodes
        self._new_id = new_id
        self._apart = logs.apart

    # looking

    def list(self, query: HeadQuery) -> Deferred[list[FlowHead]]:
        """List flows, as `IFlowStore.heads`."""
        return self._store.heads(query)

    def ago(self, seconds: float) -> float:
        """Give the time that many seconds ago, Unix seconds, by the clock of flows' changes."""
        return self._wall() - seconds

    def head(self, flow_id: str) -> Deferred[FlowHead]:
        """
        Give a flow without its document.

        :raises FlowNotFound, FlowDeleted: when there is none.
        """
        return Deferred.fromCoroutine(self._reader.head(flow_id))

    def read(
        self, flow_id: str, version: int | None = None, who: str | None = None
    ) -> Deferred[FlowState]:
        """
        Give a flow, its head as of ``version``.

        :param version: for the past; ``None`` for the newest.
        :param who: the address that asks, here and below, as `helix.flows.loads.Loads.ask` has it.
        :raises FlowNotFound, FlowDeleted, VersionNotFound: when there is none.
        :raises RateLimited: here and below, when too many wait for what they read.
        """
        return Deferred.fromCoroutine(self._reader.read(flow_id, version, who))

    def entries(
        self, flow_id: str, after: int, limit: int, who: str | None = None
    ) -> Deferred[EntryPage]:
        """
        List the entries that follow version ``after``, in order.

        :param limit: how many at most; fewer where they are large, as the store gives them.
        :raises FlowNotFound, FlowDeleted: when there is no such flow.
        """
        return self._loads.ask(who, lambda: self._entries(flow_id, after, limit))

    def export(self, flow_id: str, who: str | None = None) -> Deferred[tuple[JsonObject, bytes]]:
        """
        Give a flow's export without its document, and the document as JSON.
        (`helix.documents.importing`)

        :raises FlowNotFound, FlowDeleted: when there is no such flow.
        """
        return Deferred.fromCoroutine(self._export(flow_id, who))

    def template(self, template_id: str) -> Template:
        """
        Give a template.

        :raises TemplateNotFound: when there is none of that id.
        """
        for template in self.templates:
            if template.id == template_id:
                return template
        raise TemplateNotFound()

    # making

    def create(
        self,
        document: object,
        flow_id: str | None = None,
        author: Author = NOBODY,
        size: int = 0,
        charge: Charge | None = None,
        replaces: bool = True,
    ) -> Deferred[FlowState]:
        """
        Create a flow; its first entry is the difference of ``document`` to the empty document.

        :param document: missing members are filled in, and nulls removed.
        :param flow_id: its id; for ``None`` one is made.
        :param author: who asks for it, and owns it, if that is known.
        :param size: bytes that ``document`` took, about.
        :param charge: as that of `helix.log.edits.Submission`.
        :param replaces: whether it takes the place of a deleted flow of that id, which is lost.
        :raises InvalidPatch, DocumentTooLarge: when the document can't be.
        :raises FlowExists: when there is a flow of that id, perhaps a deleted one.
        """
        return Deferred.fromCoroutine(
            self._create(
                lambda: complete(document),
                flow_id,
                author,
                size,
                charge,
                validate_new,
                replaces,
            )
        )

    def duplicate(
        self,
        flow_id: str,
        author: Author = NOBODY,
        who: str | None = None,
        charge: Charge | None = None,
    ) -> Deferred[FlowState]:
        """
        Make a flow that is a copy of another, with an id and ids of its own.

        :param author, charge: as those of `create`.
        :raises FlowNotFound, FlowDeleted: when there is no such flow.
        """
        return Deferred.fromCoroutine(self._duplicate(flow_id, author, who, charge))

    def import_(
        self,
        given: object,
        flow_id: str | None = None,
        author: Author = NOBODY,
        size: int = 0,
        charge: Charge | None = None,
        replaces: bool = True,
    ) -> Deferred[ImportedFlow]:
        """
        Make a flow from a file's content. (`helix.documents.importing`)

        :param author, size, charge, replaces: as those of `create`.
        :raises InvalidPatch, DocumentTooLarge, FlowExists: as `create`.
        """
        imported = self._import(given, flow_id, author, size, charge, replaces)
        return Deferred.fromCoroutine(imported)

    # changing

    def patch(
        self,
        flow_id: str,
        patch: object,
        check: Check = None,
        author: Author = NOBODY,
        charge: Charge | None = None,
        permit: Permit | None = None,
    ) -> Deferred[Accepted]:
        """
        Apply a merge patch.

        :param check: what it depends on.
        :param author: who asks for it.
        :param charge: as that of `helix.log.edits.Submission`.
        :param permit: judges what it changes in the document that it comes to.
        :raises InvalidPatch, PatchTooLarge, DocumentTooLarge: when it can't be.
        :raises Forbidden: when it isn't permitted.
        :raises FlowNotFound, FlowDeleted, PreconditionFailed: when the flow isn't so.
        """

        def stage(document: FlowDocument, dropped: list[str]) -> JsonObject:
            effective = document.stage(patch, dropped=dropped)
            if permit is not None:
                permit(effective, document.content)
            return effective

        return self._service.submit(
            flow_id,
            Submission(
                stage,
                author,
                check=check,
                charge=charge,
                deletes=deleted_nodes(patch),
            ),
        )

    def replace(
        self,
        flow_id: str,
        document: object,
        check: Check = None,
        author: Author = NOBODY,
        charge: Charge | None = None,
        size: int = 0,
        permit: Permit | None = None,
    ) -> Deferred[Accepted]:
        """
        Replace the document: the difference becomes an entry. (`patch`)

        :param document, size: as those of `create`.
        :param permit: judges the difference.
        :raises InvalidPatch, DocumentTooLarge: when it can't be.
        :raises Forbidden: when it isn't permitted.
        :raises FlowNotFound, FlowDeleted, PreconditionFailed: when the flow isn't so.
        """

        def whole() -> JsonObject:
            return validate_new(complete(document), self.limits)

        rewriting = Rewriting(whole, self.limits, size, self._apart, charge, permit)
        return Deferred.fromCoroutine(self._rewrite(flow_id, rewriting, check, author, charge))

    def restore(
        self,
        flow_id: str,
        version: int,
        check: Check = None,
        author: Author = NOBODY,
        who: str | None = None,
        charge: Charge | None = None,
        permit: Permit | None = None,
    ) -> Deferred[Accepted]:
        """
        Return to the document of an earlier version: the difference becomes an entry. (`patch`)

        :param permit: judges the difference.
        :raises VersionNotFound: when there was none.
        :raises Forbidden: when it isn't permitted.
        :raises FlowNotFound, FlowDeleted, PreconditionFailed: when the flow isn't so.
        """
        restored = self._restore(flow_id, version, check, author, who, charge, permit)
        return Deferred.fromCoroutine(restored)

    def delete(self, flow_id: str, by: str = "") -> Deferred[FlowHead]:
        """
        Delete a flow; it can be restored for a while. A deleted flow stays deleted.

        Its session ends, and its members are told.

        :param by: who does so, as a name to show.
        :raises FlowNotFound: when there is none.
        """
        return Deferred.fromCoroutine(self._delete(flow_id, by))

    def undelete(self, flow_id: str) -> Deferred[FlowHead]:
        """
        Restore a deleted flow, with its log; a flow that isn't deleted stays as it is.

        :raises FlowNotFound: when there is none, or it was removed for good.
        """
        return Deferred.fromCoroutine(self._undelete(flow_id))

    # inside

    async def _entries(self, flow_id: str, after: int, limit: int) -> EntryPage:
        head = await self._reader.head(flow_id)
        entries = await self._store.entries(flow_id, head.epoch, after, limit)
        last = entries[-1].version if entries else after
        is_more = bool(entries) and last < head.version
        return EntryPage(head.epoch, entries, last if is_more else None)

    async def _export(self, flow_id: str, who: str | None) -> tuple[JsonObject, bytes]:
        state = await self._reader.read(flow_id, None, who)
        head = state.head
        exported = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "id": flow_id,
            "title": head.summary.title,
            "epoch": head.epoch,
            "version": state.version,
            "chain": chain_text(head.chain),
            "created_at": head.created_at,
            "updated_at": head.updated_at,
            "exported_at": self._wall(),
        }
        return exported, state.document

    async def _rewrite(
        self,
        flow_id: str,
        rewriting: Rewriting,
        check: Check,
        author: Author,
        charge: Charge | None,
    ) -> Accepted:
        """Replace a document without blocking the reactor if it is large."""
        await rewriting.make(await self._service.read(flow_id))
        submission = Submission(
            rewriting.stage, author, check=check, charge=charge, preparation=rewriting
        )
        return await self._service.submit(flow_id, submission)

    async def _create(
        self,
        make_whole: Callable[[], Any],
        flow_id: str | None,
        author: Author,
        size: int,
        charge: Charge | None,
        check: _Validate = validate_new,
        replaces: bool = True,
    ) -> FlowState:
        def make() -> tuple[Summary, bytes, bytes]:
            document = FlowDocument(check(make_whole(), self.limits))
            patch = diff(empty_document(), document.content)
            text = encode_in_parts(patch) if patch else b""
            return summary_of(document), text, encode_in_parts(document.content)

        summary, text, encoded = await self._apart(size, make, charge)
        now = self._wall()
        epoch = self._new_epoch()
        first = [_first_entry(text, now, author)] if text else []
        flow_id = self._new_id() if flow_id is None else flow_id
        entries = chained(origin_of(epoch), first)
        owner = "" if author.actor is None else author.actor.id
        try:
            head = await self._store.create(flow_id, epoch, now, entries, summary, replaces, owner)
        except FlowDeleted:
            raise FlowExists() from None
        self._made(flow_id, owner)
        self._service.refresh(flow_id)
        self._nodes.changed(flow_id)
        return FlowState(head, head.version, encoded)

    async def _duplicate(
        self, flow_id: str, author: Author, who: str | None, charge: Charge | None
    ) -> FlowState:
        state = await self._reader.read(flow_id, None, who)

        def copy() -> JsonObject:
            return duplicate(decode_in_parts(state.document), self._new_id)

        size = len(state.document)
        return await self._create(copy, None, author, size, charge, validate_past)

    async def _import(
        self,
        given: object,
        flow_id: str | None,
        author: Author,
        size: int,
        charge: Charge | None,
        replaces: bool,
    ) -> ImportedFlow:
        found = await self._apart(size, partial(read_import, given, self._new_id), charge)
        state = await self._create(
            lambda: found.document, flow_id, author, size, charge, validate_new, replaces
        )
        return ImportedFlow(state, found.dropped_nodes, found.dropped_edges, found.dropped_parents)

    async def _restore(
        self,
        flow_id: str,
        version: int,
        check: Check,
        author: Author,
        who: str | None,
        charge: Charge | None,
        permit: Permit | None,
    ) -> Accepted:
        past = (await self._reader.read(flow_id, version, who)).document

        def whole() -> JsonObject:
            return validate_past(decode_in_parts(past), self.limits)

        rewriting = Rewriting(whole, self.limits, len(past), self._apart, charge, permit)
        return await self._rewrite(flow_id, rewriting, check, author, charge)

    async def _delete(self, flow_id: str, by: str) -> FlowHead:
        head = await self._store.delete(flow_id, self._wall())
        self._service.forget(flow_id, by)
        self._nodes.deleted(flow_id, by)
        return head

    async def _undelete(self, flow_id: str) -> FlowHead:
        head = await self._store.undelete(flow_id)
        self._service.refresh(flow_id)
        self._nodes.changed(flow_id)
        return head


def _first_entry(text: bytes, at: float, author: Author) -> Entry:
    return Entry(1, text, at, author.by, actor=author.actor, tags=author.tags)
