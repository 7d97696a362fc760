"""Building a realm in three parts, the same for loopback and for a container.

1. `write_directory_files`, `write_other_files`: everything that is only a file; no daemon runs yet.
2. `populate`: the directory runs; its contents, the KDC's database, principals, keytabs, policy.
3. The KDC and Apache are started, by whoever starts daemons there.

In a container: `python -m lab.provision files`, start dirsrv@TPI-TEST, `python -m lab.provision populate`, start krb5-kdc,
gssproxy and apache2.
"""

from __future__ import annotations

import argparse
import sys

from lab import directory, httpd_conf, kdc, pki, pkinit, settings
from lab.files import write
from lab.layout import Layout, system


def write_directory_files(layout: Layout, *, durable: bool = False) -> None:
    """Write what the directory needs to start.

    Args:
        layout: the realm.
        durable: whether the directory syncs every transaction.
    """
    kdc.write_configuration(layout)
    directory.write_instance(layout, durable=durable)


def write_other_files(layout: Layout) -> None:
    """Write the certificates and ipa-tpi's configuration."""
    pki.write_certificates(layout)
    settings.write_settings(layout)


def populate(layout: Layout) -> None:
    """Fill the running directory, and write the keytabs."""
    directory.populate(layout)
    kdc.create_database(layout)
    directory.finish(layout)


def write_system_files(layout: Layout) -> None:
    """Write what only a whole system has: Apache's and gssproxy's own folders, the directory's environment."""
    write_directory_files(layout, durable=True)
    write_other_files(layout)
    pkinit.write_kdc_certificate(layout)
    pki.write_directory_keys(layout)
    for path, content in httpd_conf.system_files(layout).items():
        write(path, content, mode=0o600 if path.parent.name == "gssproxy" else 0o644)
    environment = f"KRB5_KTNAME={layout.directory.keytab}\nKRB5RCACHENAME=none:\n"
    write(layout.directory.config.parent.parent / "default" / "dirsrv-TPI-TEST", environment)


def main(arguments: list[str] | None = None) -> int:
    """Run one part on this system; return the exit status."""
    parser = argparse.ArgumentParser(prog="lab.provision", description=__doc__)
    parser.add_argument("part", choices=["files", "populate"])
    parser.add_argument("--host", default="ipa1.tpi.test")
    options = parser.parse_args(arguments)
    layout = system(options.host)
    if options.part == "files":
        write_system_files(layout)
    else:
        populate(layout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
