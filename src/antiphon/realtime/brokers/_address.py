"""What the URL of a broker says."""

import ssl
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct

from antiphon.errors import ConfigError

MALFORMED = "The URL of the broker is none: it reads scheme://user:password@host:port, and several hosts with commas."


class Address(Struct, frozen=True, kw_only=True):
    """`hosts` are names and ports; `path` is what follows them, without its slash; `options` are the query."""

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    path: str
    user: str | None
    password: str | None
    options: Mapping[str, str]

    @property
    def where(self) -> str:
        """For people, without the name and the password."""
        return ", ".join(f"{host}:{port}" for host, port in self.hosts) or f"/{self.path}"


def parse_address(url: str, port: int) -> Address:
    """Hosts that name no port have `port`. Raises `ConfigError`, which quotes nothing: it may be a password."""
    scheme = url.partition("://")[0]
    try:
        parts = urlsplit(url.replace(f",{scheme}://", ","))
        login, _, hosts = parts.netloc.rpartition("@")
        user, colon, password = login.partition(":")
        return Address(
            scheme=scheme,
            hosts=tuple(_host(each, port) for each in hosts.split(",") if each),
            path=unquote(parts.path.removeprefix("/")),
            user=unquote(user) or None,
            password=unquote(password) if colon else None,
            options=dict(parse_qsl(parts.query)),
        )
    except ValueError:
        raise ConfigError(MALFORMED) from None


def tls_context(options: Mapping[str, str]) -> ssl.SSLContext:
    """As the query says, in the words of redis-py: `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`,
    `ssl_password`, and `ssl_cert_reqs=none` for who trusts everybody. Raises `ConfigError` for a file that is of no
    use."""
    try:
        context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
        if "ssl_certfile" in options:
            # With a password, if only an empty one, nobody is asked for it at the terminal.
            context.load_cert_chain(
                options["ssl_certfile"], options.get("ssl_keyfile"), password=options.get("ssl_password", "")
            )
    except OSError as error:  # an SSLError is one
        raise ConfigError(f"The certificates that the URL of the broker names cannot be used: {error}.") from error
    if options.get("ssl_cert_reqs") == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _host(text: str, port: int) -> tuple[str, int]:
    """Raises `ValueError`, also for a port that is none."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError
    parts.hostname.encode("idna")  # as the loop will; a UnicodeError is a ValueError
    return parts.hostname, parts.port or port
