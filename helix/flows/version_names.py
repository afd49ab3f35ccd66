"""The names of a flow's versions: give, remove and list them."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred

from helix.delivery.protocol import encode_json
from helix.errors import FlowDeleted, InvalidParameters
from helix.flows.service import FlowSessionService
from helix.log.edits import Check
from helix.log.replaying import LogSettings
from helix.records import NOBODY, Author, NamedVersion, describe_author

MAX_VERSION_NAME = 120
"""Characters of a version's name."""


def parse_version_name(text: str) -> str:
    """
    Trim a version's name and check it.

    :raises InvalidParameters: when it is not 1 to `MAX_VERSION_NAME` characters.
    """
    name = text.strip()
    if not 1 <= len(name) <= MAX_VERSION_NAME:
        raise InvalidParameters(
            f"name is a string of 1 to {MAX_VERSION_NAME} characters, and not only white space"
        )
    return name


@attrs.frozen
class VersionList:
    """The versions of the log ``epoch`` that have names, the newest first."""

    epoch: str
    versions: list[NamedVersion]


@attrs.frozen
class Naming:
    """
    A version of the log ``epoch`` with its name.

    :ivar is_new: whether it had none before.
    """

    epoch: str
    named: NamedVersion
    is_new: bool


class VersionNames:
    """
    The names of the stored flows' versions.

    The result of an operation is durable, and members in document mode have been told. Cancelling
    an operation doesn't stop it.
    """

    def __init__(self, service: FlowSessionService, logs: LogSettings) -> None:
        self._service = service
        self._store = logs.store
        self._nodes = logs.nodes
        self._wall = logs.wall

    def list(self, flow_id: str) -> Deferred[VersionList]:
        """
        List the versions that have names, the newest first.

        :raises FlowNotFound, FlowDeleted: when there is no such flow.
        """
        return Deferred.fromCoroutine(self._list(flow_id))

    def give(
        self, flow_id: str, version: int, name: str, author: Author = NOBODY, check: Check = None
    ) -> Deferred[Naming]:
        """
        Give a version a name, in place of the one that it has.

        :param name: as `parse_version_name` gives it.
        :param author: who gives it.
        :param check: what it depends on, judged just before.
        :raises VersionNotFound, TooManyNames: when the version can't have one.
        :raises FlowNotFound, FlowDeleted: when there is no such flow.
        """
        return Deferred.fromCoroutine(self._give(flow_id, version, name, author, check))

    def take(
        self, flow_id: str, version: int, author: Author = NOBODY, check: Check = None
    ) -> Deferred[None]:
        """
        Remove the name of a version; parameters as those of `give`.

        :raises VersionNotNamed: when it has none.
        :raises FlowNotFound, FlowDeleted: when there is no such flow.
        """
        return Deferred.fromCoroutine(self._take(flow_id, version, author, check))

    async def _list(self, flow_id: str) -> VersionList:
        epoch = await self._epoch(flow_id)
        return VersionList(epoch, await self._store.named_versions(flow_id, epoch))

    async def _give(
        self, flow_id: str, version: int, name: str, author: Author, check: Check
    ) -> Naming:
        epoch = await self._epoch(flow_id, check)
        given = (version, name, author.by, self._now(), author.actor, author.tags)
        named = NamedVersion(*given)
        before = await self._store.name_version(flow_id, epoch, named)
        if before is not None and before.name == name:
            return Naming(epoch, before, is_new=False)
        self._tell(flow_id, epoch, version, name, author, named.at)
        return Naming(epoch, named, is_new=before is None)

    async def _take(self, flow_id: str, version: int, author: Author, check: Check) -> None:
        epoch = await self._epoch(flow_id, check)
        await self._store.unname_version(flow_id, epoch, version)
        self._tell(flow_id, epoch, version, None, author, self._now())

    async def _epoch(self, flow_id: str, check: Check = None) -> str:
        head = await self._store.head(flow_id)
        if head.deleted_at is not None:
            raise FlowDeleted()
        if check is not None:
            check(head.epoch, head.version, head.chain)
        return head.epoch

    def _tell(
        self, flow_id: str, epoch: str, version: int, name: str | None, author: Author, at: float
    ) -> None:
        told = {"epoch": epoch, "version": version, "name": name, "by": author.by, "at": at}
        payload = encode_json(told | describe_author(author))
        self._service.tell_name(flow_id, epoch, payload)
        self._nodes.named(flow_id, epoch, payload)

    def _now(self) -> float:
        return round(self._wall(), 3)
