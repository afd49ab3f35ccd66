"""The address of a Redis or Valkey server: its URL, and how to connect to it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import attrs
from OpenSSL import crypto
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import VerifyError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.ssl import (
    Certificate,
    KeyPair,
    PrivateCertificate,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)

from helix.errors import StoreError

PORT = 6379

_OWN_FILES = ("ssl_keyfile", "ssl_certfile")

_FILES = ("ssl_ca_certs", *_OWN_FILES)
"""What a URL's query may name, as in redis-py."""

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@attrs.frozen
class RedisAddress:
    """
    A server's URL, taken apart.

    :ivar password: ``None`` where the server wants none.
    :ivar user: empty for the server's default.
    :ivar number: of the database. Messages know no databases, so it only tells stores apart.
    :ivar is_tls: whether the connection is encrypted.
    :ivar files: by their names in the URL's query: certificates of the authorities that are trusted
        in place of the system's, and the client's own certificate and key, in PEM.
    """

    host: str
    port: int = PORT
    user: str = attrs.field(default="", repr=False)
    password: str | None = attrs.field(default=None, repr=False)
    number: int = 0
    is_tls: bool = False
    files: dict[str, str] = attrs.field(factory=dict)

    @classmethod
    def parse(cls, url: str) -> RedisAddress:
        """
        Take a ``redis://`` or ``rediss://`` URL apart.

        :raises StoreError: when it can't be one, or a file that it names can't be read. The message
            shows nothing of the URL, as what can't be read may be part of a password.
        """
        try:
            address = cls._of(urlsplit(url))
        except ValueError:
            raise StoreError(
                "The Redis URL can't be read. It is redis://user:password@host:port/number, or"
                " rediss:// for TLS with ?ssl_ca_certs=FILE, ssl_certfile and ssl_keyfile where"
                " needed; characters such as @ : / # % in the password are percent-encoded"
            ) from None
        if address.is_tls:
            address._tls_options(address.host)
        return address

    @classmethod
    def _of(cls, parts: SplitResult) -> RedisAddress:
        """:raises ValueError: when these can't be."""
        number = parts.path.removeprefix("/")
        files = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
        is_tls = parts.scheme == "rediss"
        if (
            parts.scheme not in ("redis", "rediss")
            or not parts.hostname
            or parts.fragment
            or re.fullmatch(r"[0-9]{0,4}", number) is None
            or not set(files) <= set(_FILES if is_tls else ())
            or len(set(files) & set(_OWN_FILES)) == 1
        ):
            raise ValueError
        password = None if parts.password is None else unquote(parts.password)
        user = unquote(parts.username or "")
        if user and password is None:
            password = ""  # a user of the server may need none
        port = PORT if parts.port is None else parts.port
        return cls(parts.hostname, port, user, password, int(number or 0), is_tls, files)

    def __str__(self) -> str:
        """The place in words, without the password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"Redis at {host}:{self.port}"

    def without_password(self, text: str) -> str:
        """Take the password out of a text, should it be there."""
        return text.replace(self.password, "...") if self.password else text

    def moved(self, host: str, port: int) -> RedisAddress:
        """Give the address of another server of the same cluster; no host is the same host."""
        return attrs.evolve(self, host=host or self.host, port=port)

    def endpoint(self, reactor: object) -> IStreamClientEndpoint:
        """
        Make what connects. TLS's handshake is part of that.

        :raises StoreError: when a file of the URL can't be read.
        """
        plain = HostnameEndpoint(reactor, self.host, self.port)
        return wrapClientTLS(self._tls_options(self.host), plain) if self.is_tls else plain

    def _tls_options(self, host: str) -> IOpenSSLClientConnectionCreator:
        # Read for each connection: certificates are renewed while the daemon runs.
        try:
            trusted = platformTrust()
            if "ssl_ca_certs" in self.files:
                found = _CERTIFICATE.findall(Path(self.files["ssl_ca_certs"]).read_bytes())
                if not found:
                    raise ValueError
                trusted = trustRootFromCertificates([Certificate.loadPEM(one) for one in found])
            own = None
            if "ssl_certfile" in self.files:
                key, certificate = (Path(self.files[name]).read_bytes() for name in _OWN_FILES)
                pair = KeyPair.load(key, crypto.FILETYPE_PEM)
                own = PrivateCertificate.load(certificate, pair, crypto.FILETYPE_PEM)
            return optionsForClientTLS(host, trustRoot=trusted, clientCertificate=own)
        except (OSError, ValueError, crypto.Error, VerifyError):
            raise StoreError(
                "A file of certificates or of a key that the Redis URL names can't be read"
            ) from None
