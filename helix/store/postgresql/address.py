"""The address of a PostgreSQL database: its URL, and the host names in it."""

from __future__ import annotations

import re
from ipaddress import ip_address
from socket import SOCK_STREAM, getaddrinfo

import attrs
import psycopg2
from psycopg2.extensions import parse_dsn
from twisted.internet import defer
from twisted.internet.interfaces import IReactorThreads, IReactorTime
from twisted.internet.threads import deferToThreadPool

from helix.errors import StoreError, StoreUnavailable

_DEFAULTS = {
    # A peer that is gone without a word is noticed within some 15 s.
    "keepalives_idle": "5",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}

_PLACE = ("host", "hostaddr", "port")
"""libpq's parameters that may be lists, of as many hosts."""

_WORD = re.compile(r"(?:\\.|[^\\\s])+", re.DOTALL)
_OPTION = re.compile(r"(?:-c|--)?([\w.-]+)=(.*)", re.DOTALL)


def _settings(options: str) -> tuple[tuple[str, str], ...]:
    """
    Give the server's settings that libpq's ``options`` make, in their order.

    :raises StoreError: when they are more than that.
    """
    settings = []
    words = iter(_WORD.findall(options))
    for word in words:
        named = next(words, "") if word == "-c" else word
        found = _OPTION.fullmatch(named)
        if found is None or (word is named and not word.startswith(("-c", "--"))):
            raise StoreError("The options of the PostgreSQL URL may be -c NAME=VALUE only")
        value = re.sub(r"\\(.)", r"\1", found[2], flags=re.DOTALL)
        settings.append((found[1].replace("-", "_"), value))
    return tuple(settings)


def _places(parameters: dict[str, str]) -> list[dict[str, str]]:
    """
    Give what tells each host of a URL from the others; libpq's own way through a list would change
    the socket under txpostgres.

    :raises StoreError: when there are not as many ports, or addresses, as hosts.
    """
    lists = {name: parameters[name].split(",") for name in _PLACE if parameters.get(name)}
    count = max([1, *map(len, lists.values())])
    for name, values in lists.items():
        if name == "port" and len(values) == 1:
            lists[name] = values * count
        elif len(values) != count:
            raise StoreError("The PostgreSQL URL needs as many ports, and addresses, as hosts")
    return [
        {name: values[at] for name, values in lists.items() if values[at]} for at in range(count)
    ]


@attrs.frozen
class Address:
    """
    A database's URL, taken apart.

    :ivar parameters: libpq's, the password among them; of one host, or of none that is named.
    :ivar settings: the server's that the URL's ``options`` name, for each transaction. They are no
        parameters, as poolers take none of them.
    :ivar read_only: whether its connections are to write nothing.
    :ivar others: where else the database may be, in the order of the URL.
    """

    parameters: dict[str, str] = attrs.field(repr=False)
    settings: tuple[tuple[str, str], ...] = ()
    read_only: bool = False
    others: tuple[Address, ...] = ()

    @classmethod
    def parse(cls, url: str, read_only: bool = False, name: str = "helix") -> Address:
        """
        Take a ``postgresql://`` URL apart.

        :param read_only: whether its connections are to write nothing.
        :param name: as what the server lists them, unless the URL says otherwise.
        :raises StoreError: when it can't be one. The message shows nothing of it, as what can't be
            read may be part of a password.
        """
        try:
            parameters: dict[str, str] = parse_dsn(url)
        except psycopg2.Error:
            parameters = {}
        # With a bare "@" or "/" in the password, the rest of it would be taken for something else.
        taken_apart = [parameters.get(name, "") for name in ("host", "port", "dbname")]
        if not parameters or "@" in "".join(taken_apart) or re.search(r"[^\d,]", taken_apart[1]):
            raise StoreError(
                "The PostgreSQL URL can't be read. It is postgresql://user:password@host/database,"
                " and characters such as @ : / # % in the password are percent-encoded"
            ) from None
        settings = _settings(parameters.pop("options", ""))
        places = _places(parameters)
        rest = {name: value for name, value in parameters.items() if name not in _PLACE}
        common = {"fallback_application_name": name, **_DEFAULTS, **rest, "client_encoding": "UTF8"}
        first, *others = [cls({**common, **place}, settings, read_only) for place in places]
        return attrs.evolve(first, others=tuple(others))

    @property
    def places(self) -> tuple[Address, ...]:
        """This one and the others: where the database may be."""
        return (attrs.evolve(self, others=()), *self.others)

    def __str__(self) -> str:
        """The place in words, without the password."""
        if self.others:
            return " or ".join(map(str, self.places))
        host = self.parameters.get("host") or self.parameters.get("hostaddr") or "the local socket"
        return f"PostgreSQL at {host}:{self.parameters.get('port', '5432')}"

    def without_password(self, text: str) -> str:
        """Take the password out of a text, should it be there."""
        password = self.parameters.get("password")
        return text.replace(password, "...") if password else text

    @property
    def _name(self) -> str | None:
        """The one name that a resolver has to be asked for, if there is one."""
        host = self.parameters.get("host", "")
        if not host or host[0] in "/@" or "hostaddr" in self.parameters:
            return None
        try:
            ip_address(host)
        except ValueError:
            return host
        return None

    async def resolve(self, reactor: object, attempt: int, seconds: float) -> dict[str, str]:
        """
        Ask for the host's address in a thread, where libpq would ask for it in ours.

        Left to libpq, which blocks for it: hosts that only the environment or a service file names.

        :param attempt: of several addresses, each attempt takes the next.
        :param seconds: the time that the resolver has.
        :return: the parameters to connect with.
        :raises StoreUnavailable: when there is no address.
        """
        name = self._name
        if name is None:
            return self.parameters
        threads, clock = IReactorThreads(reactor), IReactorTime(reactor)
        pool = threads.getThreadPool()
        asking = deferToThreadPool(threads, pool, getaddrinfo, name, None, type=SOCK_STREAM)
        try:
            found = await asking.addTimeout(seconds, clock)
        except (OSError, UnicodeError, defer.TimeoutError) as error:
            raise StoreUnavailable(f"The name {name} can't be resolved") from error
        addresses = [str(info[4][0]) for info in found]
        return {**self.parameters, "hostaddr": addresses[attempt % len(addresses)]}
