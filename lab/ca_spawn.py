"""Makes the CA itself and a KRA beside it, with pkispawn; runs inside a booted tree that has Dogtag's packages and nothing of ours.

Dogtag's own database (o=ipaca) is a 389-ds instance on the CA host that listens on loopback only. FreeIPA keeps it
as a second backend in each CA replica's one server; here the directory of the domain is another host's, and the
instance apart keeps what takes a minute to make (this) independent of what changes with every edit (the realm). For
Dogtag it makes no difference: its settings name a server, a bind DN and a suffix.

Needs Python's own library only, so that nothing else of ours is part of what it makes.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

HOST = "ca1.tpi.test"
INSTANCE = "PKI"
LDAPI = "ldapi://%2Frun%2Fslapd-PKI.socket"
DIRECTORY_PASSWORD = "Directory-Secret.1"
REPLICATION_PASSWORD = "Replication-Secret.1"
ADMIN_PASSWORD = "caadmin-Secret.1"
DATABASE_PASSWORD = "Database-Secret.1"
AJP_SECRET = "Ajp-Secret.1"
# What the realm's directory is told of the CA: its number among Dogtag's authorities, its names.
AUTHORITY = Path("/var/lib/ipa-tpi-lab/authority.json")

_DIRECTORY = f"""\
[general]
config_version = 2
full_machine_name = {HOST}
strict_host_checking = False
selinux = False

[slapd]
instance_name = {INSTANCE}
root_dn = cn=Directory Manager
root_password = {DIRECTORY_PASSWORD}
port = 389
self_sign_cert = False
"""

# Dogtag follows profiles and authorities in the directory by entryUSN, as FreeIPA has it; without it none are found.
# The last entry is one that pkispawn itself makes with other versions of 389-ds; without it the CA does not start
# ("Password test execution failed").
_CHANGES = f"""\
dn: cn=config
changetype: modify
replace: nsslapd-listenhost
nsslapd-listenhost: 127.0.0.1
-
replace: nsslapd-accesslog-logging-enabled
nsslapd-accesslog-logging-enabled: off

dn: cn=config,cn=ldbm database,cn=plugins,cn=config
changetype: modify
replace: nsslapd-cache-autosize
nsslapd-cache-autosize: 2

dn: cn=USN,cn=plugins,cn=config
changetype: modify
replace: nsslapd-pluginEnabled
nsslapd-pluginEnabled: on

dn: cn=Replication Manager masterAgreement1-{HOST}-pki-tomcat,cn=config
changetype: add
objectClass: top
objectClass: person
cn: Replication Manager masterAgreement1-{HOST}-pki-tomcat
sn: manager
userPassword: {REPLICATION_PASSWORD}
"""

_SETTINGS = f"""\
[DEFAULT]
pki_instance_name = pki-tomcat
pki_hostname = {HOST}
pki_admin_password = {ADMIN_PASSWORD}
pki_client_database_password = {DATABASE_PASSWORD}
pki_client_pkcs12_password = {DATABASE_PASSWORD}
pki_server_database_password = {DATABASE_PASSWORD}
pki_token_password = {DATABASE_PASSWORD}
pki_ds_hostname = localhost
pki_ds_ldap_port = 389
pki_ds_bind_dn = cn=Directory Manager
pki_ds_password = {DIRECTORY_PASSWORD}
pki_replication_password = {REPLICATION_PASSWORD}
pki_security_domain_name = IPA
pki_https_port = 8443
pki_http_port = 8080
pki_ajp_secret = {AJP_SECRET}

[CA]
pki_admin_name = caadmin
pki_admin_uid = caadmin
pki_admin_email = caadmin@tpi.test
pki_admin_nickname = caadmin
pki_admin_subject_dn = cn=caadmin,o=TPI.TEST
pki_ds_base_dn = o=ipaca
pki_ds_database = ipaca
pki_profiles_in_ldap = True
pki_ca_signing_subject_dn = cn=Certificate Authority,o=TPI.TEST
pki_ca_signing_key_size = 2048
pki_sslserver_subject_dn = cn={HOST},o=TPI.TEST
pki_subsystem_subject_dn = cn=CA Subsystem,o=TPI.TEST
pki_ocsp_signing_subject_dn = cn=OCSP Subsystem,o=TPI.TEST
pki_audit_signing_subject_dn = cn=CA Audit,o=TPI.TEST
pki_default_ocsp_uri = http://{HOST}:8080/ca/ocsp

[KRA]
pki_admin_name = kraadmin
pki_admin_uid = kraadmin
pki_admin_email = kraadmin@tpi.test
pki_admin_nickname = kraadmin
pki_admin_subject_dn = cn=kraadmin,o=TPI.TEST
pki_ds_base_dn = o=kra,o=ipaca
pki_ds_database = ipaca
pki_ds_create_new_db = False
pki_security_domain_hostname = {HOST}
pki_security_domain_https_port = 8443
pki_security_domain_user = caadmin
pki_security_domain_password = {ADMIN_PASSWORD}
pki_audit_signing_subject_dn = cn=KRA Audit,o=TPI.TEST
pki_storage_subject_dn = cn=KRA Storage Certificate,o=TPI.TEST
pki_transport_subject_dn = cn=KRA Transport Certificate,o=TPI.TEST
"""

# The CA's database starts before it. It is started often and runs for minutes: with less compiled, and less well, it
# starts in 16 s where it took 20 (two busy cores).
_DROP_IN = f"""\
[Unit]
Wants=dirsrv@{INSTANCE}.service
After=dirsrv@{INSTANCE}.service

[Service]
Environment="JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""


def main() -> int:
    """Carry out all steps and return the exit status."""
    work = Path("/root/ipa-tpi-lab")
    work.mkdir(mode=0o700)
    for name, text in (("directory.inf", _DIRECTORY), ("changes.ldif", _CHANGES), ("pki.cfg", _SETTINGS)):
        (work / name).write_text(text)
    drop_in = Path("/etc/systemd/system/pki-tomcatd@pki-tomcat.service.d/lab.conf")
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text(_DROP_IN)
    steps = (
        ("database", ["dscreate", "from-file", str(work / "directory.inf")]),
        ("settings", ["ldapmodify", "-Q", "-H", LDAPI, "-Y", "EXTERNAL", "-f", str(work / "changes.ldif")]),
        ("restart", ["systemctl", "restart", f"dirsrv@{INSTANCE}"]),
        ("CA", ["pkispawn", "-s", "CA", "-f", str(work / "pki.cfg")]),
        ("KRA", ["pkispawn", "-s", "KRA", "-f", str(work / "pki.cfg")]),
        ("start", ["systemctl", "enable", "pki-tomcatd.target", f"dirsrv@{INSTANCE}"]),
    )
    for name, command in steps:
        started = time.monotonic()
        subprocess.run(command, check=True)
        print(f"{name}: {time.monotonic() - started:.1f} s", flush=True)
    AUTHORITY.parent.mkdir(parents=True, exist_ok=True)
    AUTHORITY.write_text(json.dumps(_authority(), indent=2) + "\n")
    subprocess.run(
        ["systemctl", "stop", "pki-tomcatd@pki-tomcat", f"dirsrv@{INSTANCE}"], check=True, timeout=60
    )
    return 0


def _authority() -> dict[str, str]:
    """Return number and names of the CA that pkispawn made."""
    base = "ou=authorities,ou=ca,o=ipaca"
    command = ["ldapsearch", "-Q", "-LLL", "-o", "ldif-wrap=no", "-H", LDAPI, "-Y", "EXTERNAL", "-b", base]
    found = subprocess.run(
        [*command, "(objectClass=authority)"], check=True, capture_output=True, text=True
    ).stdout
    rows = dict(line.split(": ", 1) for line in found.splitlines() if ": " in line)
    return {"id": rows["authorityID"], "subject": rows["authorityDN"], "issuer": rows["authorityDN"]}


if __name__ == "__main__":
    sys.exit(main())
