"""``/etc/ipa/tpi/certval.toml``: where the certificate validator stands, and what needs a second person."""

from typing import Annotated

import msgspec

from ipa_tpi.config import HostName, LdapUri, MaybePath, Realm, Suffix, User, read_own


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file's values.

    Attributes:
        realm: The Kerberos realm.
        domain: The DNS domain.
        suffix: The directory's suffix.
        host: This server's name.
        ldap_uri: Where the directory answers: ldapi or ldaps.
        ldap_host: The host part of the directory's service principal.
        asker: The user that Dogtag runs as; nobody else is answered.
        controlled_profiles: Those by which nothing is issued without an approved request.
        executor_socket: The executor's socket, which is asked for these; without it they issue nothing.
        timeout_seconds: For each answer of the directory.
        decisions: How many are made at once.
    """

    realm: Realm
    domain: HostName
    suffix: Suffix
    host: HostName
    ldap_uri: LdapUri
    ldap_host: HostName
    asker: User = "pkiuser"
    controlled_profiles: list[
        Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\Z")]
    ] = []
    executor_socket: MaybePath = ""
    timeout_seconds: Annotated[int, msgspec.Meta(ge=1, le=5)] = 3
    decisions: Annotated[int, msgspec.Meta(ge=1, le=64)] = 16


def read_settings(path: str) -> Settings:
    """Read the file.

    Args:
        path: Where it lies.

    Returns:
        The values.

    Raises:
        ipa_tpi.errors.ConfigError: It cannot be read, holds an unknown or wrong value, or others than root can
            change it.
    """
    return read_own(path, Settings)
