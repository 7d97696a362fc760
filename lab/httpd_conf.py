"""Apache around the configuration that ships: `httpd/ipa-tpi.conf` itself is used as it is, through its Defines.

On loopback a small main configuration of our own includes it, with a virtual host for TLS and one without. In
a container the distribution's Apache does, and this module writes the site's Defines, the virtual host's certificate
and gssproxy's sections.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.files import make_folder, write
from lab.layout import REPOSITORY, Layout

SHIPPED = REPOSITORY / "httpd"
MODULES = Path("/usr/lib/apache2/modules")
_MODULES = "allowmethods mpm_event authn_core authz_core authz_user auth_gssapi socache_shmcb ssl headers reqtimeout env setenvif wsgi"
_CONFIGURED = "/etc/ipa/tpi/web.toml"


@dataclass(frozen=True)
class Instance:
    """One Apache of a realm; tests start further ones beside the first.

    Args:
        folder: for its configuration, pid and sockets.
        https: port with TLS.
        http: port without.
        wsgi: script that it serves at /tpi/v1.
    """

    folder: Path
    https: int
    http: int
    wsgi: Path


def first_instance(layout: Layout) -> Instance:
    """Return the realm's own Apache."""
    return Instance(layout.httpd.config, layout.ports.https, layout.ports.http, layout.httpd.wsgi)


def write_instance(layout: Layout, instance: Instance) -> Path:
    """Write an Apache's configuration on loopback and return its main file.

    Args:
        layout: the realm.
        instance: which Apache.
    """
    user = layout.httpd.user
    make_folder(instance.folder / "www")
    make_folder(instance.folder / "run", owner=user, mode=0o755)
    make_folder(layout.httpd.logs, owner=user, mode=0o755)
    make_folder(layout.httpd.ccaches, owner=user, mode=0o700)
    main = instance.folder / "httpd.conf"
    write(main, main_configuration(layout, instance))
    return main


def write_wsgi(layout: Layout) -> None:
    """Write the WSGI script that ships, with this realm's configuration file in place of the installed one."""
    shipped = (SHIPPED / "tpi.wsgi").read_text(encoding="utf-8")
    write(layout.httpd.wsgi, shipped.replace(_CONFIGURED, str(layout.product.web_toml)))


def command(main: Path) -> list[str]:
    """Return the command line that runs Apache in the foreground."""
    return ["/usr/sbin/apache2", "-f", str(main), "-DFOREGROUND"]


def environment(layout: Layout, instance: Instance) -> dict[str, str]:
    """Return Apache's environment; the replay cache is a file of its own (R-E14)."""
    inherited = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {
        **inherited,
        "KRB5_CONFIG": str(layout.kdc.krb5_conf),
        "KRB5RCACHENAME": f"file2:{instance.folder / 'run' / 'rcache'}",
    }


def main_configuration(layout: Layout, instance: Instance) -> str:
    """Return the main configuration file of an Apache on loopback."""
    httpd, run = layout.httpd, instance.folder / "run"
    modules = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in _MODULES.split())
    accounts = f"User {httpd.user}\nGroup {httpd.user}\n" if os.geteuid() == 0 else ""
    return f"""\
ServerRoot {instance.folder}
ServerName {layout.host}
ServerTokens Prod
DocumentRoot {instance.folder}/www
PidFile {run}/httpd.pid
DefaultRuntimeDir {run}
Mutex file:{run} default
ErrorLog {httpd.logs}/error.log
LogLevel warn auth_gssapi:info
{modules}
{accounts}StartServers 1
ServerLimit 4
ThreadsPerChild 25
MaxRequestWorkers 100
MinSpareThreads 1
MaxSpareThreads 100
LogFormat "%h %u \\"%r\\" %>s %b %D" short
CustomLog {httpd.logs}/access.log short
WSGISocketPrefix {run}/wsgi
SSLSessionCache none
Listen 127.0.0.1:{instance.https}
Listen 127.0.0.1:{instance.http}

{site_defines(layout, instance)}
SetEnv TPI_LDAPI {layout.ldapi_uri}
Include {SHIPPED}/ipa-tpi.conf

<Directory />
    Require all denied
</Directory>
<Directory {instance.folder}/www>
    Require all granted
</Directory>
<Directory {_script(instance).parent}>
    Require all granted
</Directory>
<VirtualHost 127.0.0.1:{instance.https}>
    SSLEngine on
    SSLCertificateFile {httpd.certificate}
    SSLCertificateKeyFile {httpd.key}
</VirtualHost>
<VirtualHost 127.0.0.1:{instance.http}>
</VirtualHost>
"""


def site_defines(layout: Layout, instance: Instance) -> str:
    """Return what the site sets for `ipa-tpi.conf` on loopback: plain keytab, no account of the application's own."""
    httpd = layout.httpd
    defines = {
        "TPI_HOST": layout.host,
        "TPI_VENV": httpd.venv,
        "TPI_WSGI": _script(instance),
        "TPI_HOME": instance.folder,
        "TPI_CCACHES": httpd.ccaches,
        "TPI_DAEMON": f'"python-path={_code(instance)}"',
        "TPI_KEYTAB": httpd.keytab,
        "TPI_SERVICE_CCACHE": instance.folder / "run" / "service.ccache",
    }
    return "".join(f"Define {name} {value}\n" for name, value in defines.items())


def system_files(layout: Layout) -> dict[Path, str]:
    """Return the files that configure a system's Apache and gssproxy for ipa-tpi, by path.

    Args:
        layout: the system.
    """
    httpd = layout.httpd
    return {
        Path("/etc/ipa/tpi/httpd.conf"): f"Define TPI_HOST {layout.host}\n",
        httpd.config / "ipa-tpi.conf": (SHIPPED / "ipa-tpi.conf").read_text(encoding="utf-8"),
        httpd.wsgi: (SHIPPED / "tpi.wsgi").read_text(encoding="utf-8"),
        Path("/etc/gssproxy/80-ipa-tpi.conf"): gssproxy_conf(layout),
        Path("/etc/systemd/system/apache2.service.d/ipa-tpi.conf"): (
            SHIPPED / "apache-gssproxy.conf"
        ).read_text(encoding="utf-8"),
        Path("/etc/apache2/sites-enabled/ipa-lab.conf"): f"""\
ServerName {layout.host}
<VirtualHost *:{layout.ports.https}>
    SSLEngine on
    SSLCertificateFile {httpd.certificate}
    SSLCertificateKeyFile {httpd.key}
</VirtualHost>
""",
    }


def gssproxy_conf(layout: Layout) -> str:
    """Return gssproxy's sections with this system's accounts and keytab."""
    text = (SHIPPED / "gssproxy.conf").read_text(encoding="utf-8")
    values = {
        "@HTTPD_USER@": layout.httpd.user,
        "@WEB_USER@": layout.product.web_user,
        "@HTTP_KEYTAB@": str(layout.httpd.keytab),
    }
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def _script(instance: Instance) -> Path:
    """Return the script where the server's account can read it; the checkout may lie in somebody's home."""
    target = instance.folder / "served" / instance.wsgi.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(instance.wsgi, target)
    target.parent.chmod(0o755)
    target.chmod(0o644)
    return target


def _code(instance: Instance) -> Path:
    """Return a folder with our code where the server's account can read it."""
    target = instance.folder / "code"
    for package in ("ipa_tpi", "lab"):
        if not (target / package).exists():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(REPOSITORY / package, target / package, ignore=ignored)
    target.chmod(0o755)
    return target
