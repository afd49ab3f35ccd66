"""Roles, from viewer to owner, and the rights that each has."""

from __future__ import annotations

from enum import Enum, IntEnum


class Role(IntEnum):
    """What somebody may do with a flow; a higher role may do all that a lower one may."""

    VIEWER = 1
    COMMENTER = 2
    PROPOSER = 3
    EDITOR = 4
    OWNER = 5

    @classmethod
    def parse(cls, name: object) -> Role:
        """
        Read the name of a role, such as ``"editor"``.

        :raises ValueError: when it is none.
        """
        if isinstance(name, str) and name.isascii() and name.islower():
            role = cls.__members__.get(name.upper())
            if role is not None:
                return role
        raise ValueError(f"a role is one of {', '.join(role.text for role in cls)}")

    @property
    def text(self) -> str:
        """Its name, as in tokens and answers."""
        return self.name.lower()


class Right(Enum):
    """
    A kind of request. The value is the lowest role that may make it.

    :cvar READ: join, read, history, export, presence, cursor.
    :cvar EDIT: patch, restore, name versions, accept proposals, ``flow_change`` in relay mode.
    :cvar MANAGE: access, links, delete, undelete, end a session by force.
    """

    READ = Role.VIEWER
    COMMENT = Role.COMMENTER
    PROPOSE = Role.PROPOSER
    EDIT = Role.EDITOR
    MANAGE = Role.OWNER

    @property
    def text(self) -> str:
        """Its name, as in answers."""
        return self.name.lower()
