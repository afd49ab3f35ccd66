"""Signs people in and out: at the provider, and with a session here."""

from __future__ import annotations

import attrs

from helix.errors import StoreError
from helix.identity.attempts import Reason, SignInFailed
from helix.identity.code_flow import Begun, CodeFlow
from helix.identity.sessions import Sessions
from helix.interfaces import ICredentialStore
from helix.telemetry.events import Telemetry


@attrs.define(eq=False)
class SignIns:
    """
    Signs people in and out.

    :ivar flow: asks the provider.
    :ivar sessions: keep who has signed in.
    :ivar store: has the secret that is the same for all processes.
    :ivar telemetry: is told how it ends.
    """

    flow: CodeFlow
    sessions: Sessions
    store: ICredentialStore
    telemetry: Telemetry
    _secret: bytes | None = attrs.field(default=None, init=False, repr=False)

    async def begin(self, redirect_uri: str, to: str) -> Begun:
        """
        Begin to sign somebody in, as `CodeFlow.begin`.

        :raises SignInFailed: when that isn't possible now.
        """
        return await self.flow.begin(await self._known_secret(), redirect_uri, to)

    async def finish(self, redirect_uri: str, query: str, record: str | None) -> tuple[str, str]:
        """
        Sign somebody in, as `CodeFlow.finish`.

        :return: what the session's cookie is to hold, and where to go.
        :raises SignInFailed: when nobody is signed in.
        """
        secret = await self._known_secret()
        signed_in = await self.flow.finish(secret, redirect_uri, query, record)
        try:
            cookie = await self.sessions.begin(signed_in.person, signed_in.id_token)
        except StoreError:
            raise SignInFailed(Reason.STORE) from None
        self.telemetry.emit("helix.sign_in.accepted")
        return cookie, signed_in.to

    async def end(self, cookie: str | None, back: str) -> str | None:
        """
        Sign somebody out here.

        :param cookie: what the session's cookie holds; ``None`` without one.
        :param back: where the provider is to send the browser afterwards.
        :return: where the provider signs them out, too; ``None`` where it can't, or there was no
            session.
        :raises StoreError: when the session may not have ended.
        """
        ended = None if cookie is None else await self.sessions.end(cookie)
        if ended is None:
            return None
        self.telemetry.emit("helix.sign_in.ended")
        return self.flow.sign_out_url(ended.id_token, back)

    async def _known_secret(self) -> bytes:
        if self._secret is None:
            try:
                self._secret = await self.store.secret()
            except StoreError:
                raise SignInFailed(Reason.STORE) from None
        return self._secret
