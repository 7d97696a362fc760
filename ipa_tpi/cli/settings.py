"""Which server, and whom to trust: FreeIPA's own default.conf, and the command line above it."""

import configparser
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ipa_tpi.errors import BadInputError, ConfigError

DEFAULT_FOLDER: Final = "/etc/ipa"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run of the command line knows before it asks anybody.

    Attributes:
        server_url: ``https://HOST`` with or without a port.
        server_host: Its host; the default target of a request.
        ca_file: The domain's certificate authority.
        given: The options that chose the server, as a command line repeats them.
    """

    server_url: str
    server_host: str
    ca_file: str
    given: tuple[str, ...] = ()


def read_settings(server: str | None, config: str | None) -> Settings:
    """Read default.conf and put the command line's own server above it.

    Args:
        server: ``HOST``, ``HOST:PORT`` or ``https://HOST[:PORT]``; None takes default.conf's
            ``server``, or its ``host`` where there is none, as on a server.
        config: Folder of default.conf and ca.crt, or the file itself; None takes the
            environment's IPA_CONFDIR, as FreeIPA does, or /etc/ipa.

    Returns:
        The settings.

    Raises:
        ConfigError: There is no server to be found, or the file is malformed.
        BadInputError: `server` is neither a name nor an https URL.
    """
    chosen = Path(config or os.environ.get("IPA_CONFDIR") or DEFAULT_FOLDER)
    path = chosen if chosen.is_file() else chosen / "default.conf"
    values = _read(path, needed=server is None)
    name = server or values.get("server") or values.get("host")
    if not name:
        raise ConfigError(
            f"{path} names no server. Put 'server = HOST' under [global], or give --server HOST."
        )
    url = name if "://" in name else f"https://{name}"
    given = (*(("--config", config) if config else ()), *(("--server", server) if server else ()))
    return Settings(server_url=url, server_host=_host(url), ca_file=str(path.parent / "ca.crt"), given=given)


def _read(path: Path, *, needed: bool) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
    except FileNotFoundError as error:
        if not needed:
            return {}
        raise ConfigError(
            f"{path} does not exist, so the server is not known. Enrol this host, or give --server HOST.",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}. Mend its permissions or its contents.") from error
    except configparser.Error as error:
        raise ConfigError(f"{path} is not valid: {error}. Correct the file and try again.") from error
    return dict(parser["global"]) if parser.has_section("global") else {}


def _host(url: str) -> str:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    if not host:
        raise BadInputError(f"{url!r} is not a server; write HOST, HOST:PORT or https://HOST:PORT")
    return host
