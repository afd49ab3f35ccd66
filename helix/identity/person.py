"""Who has signed in: the claims of an OpenID provider -> a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from helix.access.grants import parse_name, text_parser
from helix.identity.claims import MAX_NAME_CHARACTERS, BadClaim, parse_id

NAMES = ("name", "preferred_username", "email")
"""The claims that may be a person's name, the best first."""

MAX_GROUPS = 1000


@attrs.frozen
class Person:
    """
    Somebody whom a provider knows.

    :ivar id: of the principal.
    :ivar name: to show; may be empty.
    :ivar groups: their names.
    """

    id: str
    name: str = ""
    groups: frozenset[str] = frozenset()


@attrs.frozen
class PersonReader:
    """
    Makes people of claims.

    :ivar id_claim: the claim that is the id.
    :ivar groups_claim: the claim with the names of groups; empty for none.
    """

    id_claim: str = "sub"
    groups_claim: str = ""

    def lacks(self, claims: Mapping[str, Any]) -> bool:
        """Tell whether claims leave open what the provider may tell in another place."""
        wanted = [self.id_claim, *filter(None, [self.groups_claim])]
        if self.id_claim == "email":
            wanted.append("email_verified")
        return any(name not in claims for name in wanted) or not any(
            claims.get(name) for name in NAMES
        )

    def read(self, claims: Mapping[str, Any]) -> Person:
        """
        Make a person of claims.

        :raises BadClaim: when one that is needed isn't what it should be.
        """
        if self.id_claim == "email" and claims.get("email_verified") is not True:
            raise BadClaim("email_verified", "the issuer hasn't verified the address")
        try:
            person_id = parse_id(claims.get(self.id_claim))
        except ValueError as error:
            raise BadClaim(self.id_claim, error) from None
        return Person(person_id, _name(claims), self._groups(claims))

    def _groups(self, claims: Mapping[str, Any]) -> frozenset[str]:
        given = claims.get(self.groups_claim, [])
        listed: Sequence[object] = [given] if isinstance(given, str) else given
        if not isinstance(listed, list) or len(listed) > MAX_GROUPS:
            raise BadClaim(self.groups_claim, f"a list of at most {MAX_GROUPS} names is wanted")
        try:
            return frozenset(map(parse_name, listed))
        except ValueError as error:
            raise BadClaim(self.groups_claim, error) from None


def _name(claims: Mapping[str, Any]) -> str:
    """Give the best name that can be shown."""
    parse = text_parser(MAX_NAME_CHARACTERS)
    for claim in NAMES:
        try:
            if name := parse(claims.get(claim)).strip():
                return name
        except ValueError:
            continue
    return ""
