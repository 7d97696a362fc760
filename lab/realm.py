"""A whole realm on loopback: directory, KDC, certificate authority and Apache, in about a second.

Needs neither root nor systemd nor a changed /etc/hosts; any number can run beside each other, each in a folder and on
ports of its own.

    python -m lab.realm up [--dir DIR] [--wsgi SCRIPT]
    eval "$(python -m lab.realm env)"; echo "$TPI_PASSWORD_ALICE" | kinit alice
    python -m lab.realm down

For tests only: the passwords are printed, and whoever runs with the directory's uid is Directory Manager.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lab import directory, httpd_conf, kdc, processes, provision
from lab.layout import Layout, Ports, loopback
from lab.people import PEOPLE
from lab.ports import ReservedPorts

DEFAULT_VENV = Path("/var/cache/ipa-tpi/venv")
_STATE = "realm.json"
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Realm:
    """A realm that was started, and its processes."""

    layout: Layout
    daemons: dict[str, processes.Daemon]

    def save(self) -> None:
        """Write down what `load` needs."""
        state = {
            "ports": asdict(self.layout.ports),
            "venv": str(self.layout.httpd.venv),
            "wsgi": str(self.layout.httpd.wsgi),
            "daemons": {name: asdict(daemon) for name, daemon in self.daemons.items()},
        }
        path = self.layout.root / _STATE
        path.with_suffix(".new").write_text(json.dumps(state, indent=1), encoding="utf-8")
        path.with_suffix(".new").rename(path)


def up(root: Path, *, venv: Path = DEFAULT_VENV, wsgi: Path | None = None) -> Realm:
    """Start a realm.

    Args:
        root: its folder; must not exist or be empty.
        venv: virtual environment of the web service.
        wsgi: script to serve in place of ours.

    Returns:
        The realm, every daemon of which answers.

    Raises:
        FileExistsError: there is something in the folder.
        lab.processes.DaemonError: a daemon did not start; those that did are stopped.
    """
    root.mkdir(mode=0o755, parents=True, exist_ok=True)
    if any(root.iterdir()):
        raise FileExistsError(
            f"{root} is not empty; stop that realm first: python -m lab.realm down --dir {root}"
        )
    root.chmod(0o755)
    with ReservedPorts() as ports:
        layout = loopback(root.resolve(), ports, venv)
        if wsgi is not None:
            layout = replace(layout, httpd=replace(layout.httpd, wsgi=wsgi.resolve()))
        realm = Realm(layout, {})
        try:
            _start(realm, own_script=wsgi is None)
        except BaseException:
            stop(realm)
            raise
    return realm


def _start(realm: Realm, *, own_script: bool) -> None:
    """Bring the daemons up in the order in which they need each other."""
    layout = realm.layout
    provision.write_directory_files(layout)
    slapd = _launch(realm, "dirsrv", directory.command(layout), directory.environment(layout))
    # The server needs half a second until it answers; everything else is prepared meanwhile.
    provision.write_other_files(layout)
    if own_script:
        httpd_conf.write_wsgi(layout)
    instance = httpd_conf.first_instance(layout)
    main = httpd_conf.write_instance(layout, instance)
    _wait(realm, "dirsrv", slapd, lambda: processes.accepts(layout.directory.socket))
    provision.populate(layout)
    apache = _launch(realm, "apache", httpd_conf.command(main), httpd_conf.environment(layout, instance))
    krb5kdc = _launch(realm, "krb5kdc", kdc.command(layout), kdc.environment(layout))
    _wait(realm, "krb5kdc", krb5kdc, lambda: processes.listens(layout.ports.kdc))
    _wait(realm, "apache", apache, lambda: processes.listens(layout.ports.https))


def _wait(realm: Realm, name: str, daemon: processes.Daemon, answers: Callable[[], bool]) -> None:
    log = realm.layout.root / "log" / f"{name}.out"
    processes.wait_until(answers, daemon, name, log, _TIMEOUT_SECONDS)


def _launch(realm: Realm, name: str, command: list[str], environment: dict[str, str]) -> processes.Daemon:
    root = realm.layout.root
    daemon = processes.start(command, environment, root / "log" / f"{name}.out", root)
    realm.daemons[name] = daemon
    realm.save()
    return daemon


def load(root: Path) -> Realm:
    """Return the realm that was started in a folder.

    Raises:
        FileNotFoundError: none was.
    """
    path = root / _STATE
    if not path.exists():
        raise FileNotFoundError(f"no realm in {root}; start one: python -m lab.realm up --dir {root}")
    state = json.loads(path.read_text(encoding="utf-8"))
    layout = loopback(root.resolve(), Ports(**state["ports"]), Path(state["venv"]))
    layout = replace(layout, httpd=replace(layout.httpd, wsgi=Path(state["wsgi"])))
    return Realm(layout, {name: processes.Daemon(**daemon) for name, daemon in state["daemons"].items()})


def stop(realm: Realm) -> None:
    """End a realm's processes, those that other parts added to its state included; its folder stays."""
    patience = {"apache": 1.0, "krb5kdc": 1.0}
    for name, daemon in reversed(realm.daemons.items()):
        # The directory is thrown away with its folder, and takes a second to end politely.
        processes.stop(daemon, patience_seconds=patience.get(name, 0.0))
    realm.layout.statistics.unlink(missing_ok=True)


def down(root: Path) -> None:
    """End the realm of a folder, and remove the folder."""
    stop(load(root))
    shutil.rmtree(root)


def describe(realm: Realm) -> dict[str, Any]:
    """Return what a test or a person needs to know of a realm."""
    layout = realm.layout
    product = layout.product
    return {
        "realm": layout.realm,
        "suffix": layout.suffix,
        "host": layout.host,
        "ldap_uri": layout.ldap_uri,
        "ldapi_uri": layout.ldapi_uri,
        "url": layout.url,
        "http_url": f"http://{layout.host}:{layout.ports.http}/tpi/v1/",
        "ca_file": str(product.ca_file),
        "krb5_config": str(layout.kdc.krb5_conf),
        "people": {
            person.uid: {
                "password": person.password,
                "principal": person.principal(layout.realm),
                "dn": person.dn(layout.suffix),
            }
            for person in PEOPLE
        },
        "keytabs": {
            "tpi": str(product.tpi_keytab),
            "http": str(layout.httpd.keytab),
            "ldap": str(layout.directory.keytab),
            "host": str(layout.host_keytab),
            "tpi_other": str(layout.other_keytab),
        },
        "pids": {name: daemon.pid for name, daemon in realm.daemons.items()},
        "root": str(layout.root),
        "config": {
            "web": str(product.web_toml),
            "executor": str(product.executor_toml),
            "floor": str(product.floor_toml),
        },
        "default_conf": str(product.default_conf),
    }


def exports(realm: Realm) -> str:
    """Return shell commands that make a terminal a client of the realm."""
    layout = realm.layout
    variables = {
        "KRB5_CONFIG": str(layout.kdc.krb5_conf),
        "KRB5CCNAME": f"FILE:{layout.root / 'ccache-of-terminal'}",
        "LDAPURI": layout.ldap_uri,
        "LDAPBASE": layout.suffix,
        "LDAPSASL_NOCANON": "on",
        "TPI_URL": layout.url,
        "TPI_CA_FILE": str(layout.product.ca_file),
        "IPA_CONFDIR": str(layout.product.default_conf.parent),
        "CURL_CA_BUNDLE": str(layout.product.ca_file),
    }
    variables |= {
        f"TPI_PASSWORD_{person.uid.upper().replace('-', '_')}": person.password for person in PEOPLE
    }
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _COMMANDS[options.command](options)
    except (OSError, ValueError, processes.DaemonError) as error:
        print(f"lab.realm: ERROR: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lab.realm", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(tempfile.gettempdir()) / f"ipa-tpi-realm-{os.geteuid()}"
    commands = parser.add_subparsers(dest="command", required=True)
    for name in _COMMANDS:
        command = commands.add_parser(name)
        command.add_argument(
            "--dir", type=Path, default=default, help="the realm's folder (default: %(default)s)"
        )
        if name == "up":
            command.add_argument("--venv", type=Path, default=DEFAULT_VENV)
            command.add_argument("--wsgi", type=Path, help="serve this script in place of the web service")
        if name == "env":
            command.add_argument("--json", action="store_true", help="everything, as JSON")
    return parser


def _up(options: argparse.Namespace) -> int:
    begin = time.monotonic()
    realm = up(options.dir, venv=options.venv, wsgi=options.wsgi)
    print(f"ready after {time.monotonic() - begin:.2f} s: {realm.layout.url} ({realm.layout.root})")
    me = f"{sys.executable} -m lab.realm"
    print(
        f'be its client in this shell: eval "$({me} env --dir {realm.layout.root})", then kinit alice (alice-Secret.1)'
    )
    print(
        f"and: {sys.executable} -m ipa_tpi.cli operations; end it with: {me} down --dir {realm.layout.root}"
    )
    return 0


def _down(options: argparse.Namespace) -> int:
    down(options.dir)
    return 0


def _status(options: argparse.Namespace) -> int:
    running = {name: daemon.is_running() for name, daemon in load(options.dir).daemons.items()}
    for name, alive in running.items():
        print(f"{name}: {'running' if alive else 'not running'}")
    return 0 if all(running.values()) else 3


def _env(options: argparse.Namespace) -> int:
    realm = load(options.dir)
    print(
        json.dumps(describe(realm), indent=1) if options.json else exports(realm),
        end="\n" if options.json else "",
    )
    return 0


_COMMANDS = {"up": _up, "down": _down, "status": _status, "env": _env}


if __name__ == "__main__":
    sys.exit(main())
