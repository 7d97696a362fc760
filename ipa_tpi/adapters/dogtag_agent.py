"""FreeIPA's old way to Dogtag: as the RA agent, by its certificate (D12, D13).

Whoever holds the agent's key is allowed everything that Dogtag lets the agent do, for everybody.  It is
for what upgrades an installation and for keys in a KRA.  The executor has no part in it: it never loads
this module, and none of its settings names that key (K01).
"""

import os
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from ipa_tpi.adapters.dogtag_line import SUCCESS, Line, asked, connected, verifying
from ipa_tpi.errors import AuthorityUnavailableError, ConfigError, OutcomeUnknownError, TpiError

RA_AGENT_CERTIFICATE: Final = "/var/lib/ipa/ra-agent.pem"
RA_AGENT_KEY: Final = "/var/lib/ipa/ra-agent.key"
_OTHERS_MAY_WRITE: Final = 0o022
# A group may read the key, as FreeIPA's framework does; nothing else.
_OTHERS_MAY_USE: Final = 0o037


@dataclass(frozen=True, slots=True)
class LegacyLocation:
    """Apache's location for the RA agent alone.

    Attributes:
        host: The CA or KRA host's name.
        ca_file: PEM of who issued the server's certificate.
        port: Of Apache.
        path: What the location's name begins with.
        certificate: PEM of the agent's certificate.
        key: PEM of its key, which has no password.
    """

    host: str
    ca_file: str
    port: int = 443
    path: str = "/tpi-legacy/ca/rest"
    certificate: str = RA_AGENT_CERTIFICATE
    key: str = RA_AGENT_KEY


class RaAgent:
    """Calls as the RA agent, by its certificate.

    Dogtag takes it at a few of its resources only; elsewhere a session must tell who it is.  So each call
    has one of its own, which ends with it: it would be as good as the key.

    Args:
        place: The location, and the agent's files; they are read at each call, since they are renewed.
    """

    def __init__(self, place: LegacyLocation) -> None:
        self._place = place

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Make one call, on a connection of its own; see `ipa_tpi.ports.DogtagTransport`."""
        place = self._place
        tls = verifying(place.ca_file)
        tls.post_handshake_auth = True  # TLS 1.3: Apache asks once it knows the path
        _show(tls, place)
        with connected(Line(place.host, place.port, tls, place.host)) as line:
            try:
                login = asked(line, "GET", f"{place.path}/account/login")
            except OutcomeUnknownError as error:  # nobody has been asked for anything yet
                raise AuthorityUnavailableError(error.message) from error
            if login.status not in SUCCESS:
                return login.status, login.told
            session = {"Cookie": f"JSESSIONID={login.session}"} if login.session else {}
            try:
                answer = asked(line, method, place.path + path, session, body)
            finally:
                with suppress(TpiError):
                    asked(line, "GET", f"{place.path}/account/logout", session)
        return answer.status, answer.told


def _show(tls: ssl.SSLContext, place: LegacyLocation) -> None:
    """Let a connection show the agent's certificate, if nobody else can have had its key."""
    with (
        _opened(place.certificate, _OTHERS_MAY_WRITE) as certificate,
        _opened(place.key, _OTHERS_MAY_USE) as key,
    ):
        try:
            tls.load_cert_chain(certificate, key, password=_no_password)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(
                f"{place.certificate} and {place.key} are no certificate with its key ({error}); "
                f"see: getcert list -f {place.certificate}"
            ) from error


@contextmanager
def _opened(path: str, forbidden: int) -> Iterator[str]:
    """Open a file, look at what was opened, and give a name by which OpenSSL opens this and no other."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}; put the RA agent's file there, as root"
        ) from error
    try:
        found = os.fstat(descriptor)
        mode = stat.S_IMODE(found.st_mode)
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in {0, os.geteuid()}:
            raise ConfigError(f"{path} is no file of root's; put the RA agent's file there, as root")
        if mode & forbidden:  # R-E09
            raise ConfigError(
                f"{path} has mode {mode:04o}, so others could have used or changed it; "
                f"renew the agent's certificate, then run: chmod 0440 {path}"
            )
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _no_password() -> NoReturn:
    # Without this OpenSSL would ask on the terminal.
    raise ConfigError("the RA agent's key has a password, and FreeIPA's has none; write it without one")
