"""Public ids, read back as the names that a test's clients have joined with."""

from __future__ import annotations

from typing import Any

from helix.documents.ids import public_id


class Names:
    """Who is behind a public id."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def learn(self, client_id: str) -> str:
        """Know a client from now on; give its name as it was given."""
        self._names[public_id(client_id)] = client_id
        return client_id

    def read(self, told: Any) -> Any:
        """Give JSON that a server told with the names in place of the public ids."""
        if isinstance(told, str):
            return self._names.get(told, told)
        if isinstance(told, list):
            return [self.read(one) for one in told]
        if isinstance(told, dict):
            return {self.read(key): self.read(value) for key, value in told.items()}
        return told
