"""The declaration: each right on each resource of the CA and of the KRA, whose it is, and which operation it belongs to.

A right is given to holders of IPA permissions, to everybody who has logged in, or to nobody.  Where an
operation that it belongs to is under two-person control, holders need the channel's group as well,
which Apache adds on the executor's location alone.  Names of rights and resources are Dogtag's own
(``acl.properties``); who may do what is what FreeIPA's framework demands for the same command, so
that nothing changes for anybody where no operation is under control.
"""

from dataclasses import dataclass, field
from typing import Final

CHANNEL_GROUP: Final = "tpi-dispatch"


@dataclass(frozen=True, slots=True)
class Grant:
    """Whose one right on one resource is.

    Attributes:
        resource: As Dogtag names it.
        right: As Dogtag names it.
        calls: The keys of ``acl.properties`` that ask for it.
        permissions: Names of IPA permissions, of which one is enough; none is nobody.
        everybody: Whoever has logged in, whatever he may else do.
        operations: Ours that need it, and that control it.
        why: What it is for, or why nobody has it.
    """

    resource: str
    right: str
    calls: tuple[str, ...]
    why: str
    permissions: tuple[str, ...] = ()
    everybody: bool = False
    operations: frozenset[str] = field(default_factory=frozenset)


_REVOKE: Final = ("Revoke Certificate", "Certificate Remove Hold")
_IMPORT: Final = "System: Import Certificate Profile"
_MODIFY: Final = "System: Modify Certificate Profile"
_DELETE: Final = "System: Delete Certificate Profile"
_ADD_CA, _MODIFY_CA, _DELETE_CA = "System: Add CA", "System: Modify CA", "System: Delete CA"
_NO_COMMAND: Final = "no command of FreeIPA does it; the CA's own administrators do, with their certificates"

# What both subsystems have by the same name.
_SHARED: Final = (
    Grant(
        "certServer.securitydomain.domainxml",
        "read",
        ("securityDomain.read",),
        "new replicas read it; so may everybody in a stock CA",
        everybody=True,
    ),
    Grant("certServer.securitydomain.domainxml", "modify", ("securityDomain.modify",), _NO_COMMAND),
    Grant("certServer.log.configuration", "read", ("audit.read",), _NO_COMMAND),
    Grant("certServer.log.configuration", "modify", ("audit.modify",), _NO_COMMAND),
    Grant("certServer.log.content.signedAudit", "read", ("audit-log.read",), _NO_COMMAND),
)

CA_GRANTS: Final = (
    Grant(
        "certServer.ca.account", "login", ("account.login",), "every session begins with it", everybody=True
    ),
    Grant("certServer.ca.account", "logout", ("account.logout",), "and ends with it", everybody=True),
    # One right for both, so who may do one may do the other where nothing is under control.
    Grant(
        "certServer.ca.certs",
        "execute",
        ("certs",),
        "cert-revoke, cert-remove-hold",
        permissions=_REVOKE,
        operations=frozenset({"dogtag.cert.revoke", "dogtag.cert.hold", "dogtag.cert.release"}),
    ),
    Grant(
        "certServer.ca.authorities",
        "create",
        ("authorities.create",),
        "ca-add",
        permissions=(_ADD_CA,),
        operations=frozenset({"dogtag.ca.create"}),
    ),
    Grant(
        "certServer.ca.authorities",
        "modify",
        ("authorities.modify",),
        "ca-enable, ca-disable; ca-del disables first",
        permissions=(_MODIFY_CA, _DELETE_CA),
        operations=frozenset({"dogtag.ca.enable", "dogtag.ca.disable"}),
    ),
    Grant(
        "certServer.ca.authorities", "delete", ("authorities.delete",), "ca-del", permissions=(_DELETE_CA,)
    ),
    Grant("certServer.ca.authorities", "list", ("authorities.list",), "ca-find, ca-show", everybody=True),
    Grant("certServer.ca.authorities", "read", ("authorities.read",), "ca-find, ca-show", everybody=True),
    Grant(
        "certServer.profile.configuration",
        "modify",
        ("profiles.create", "profiles.modify", "profiles.delete"),
        "certprofile-import, certprofile-mod, certprofile-del",
        permissions=(_IMPORT, _MODIFY, _DELETE),
        # Who can take a profile's constraint out issues alone.
        operations=frozenset({"dogtag.profile.import", "dogtag.profile.modify", "dogtag.cert.request"}),
    ),
    Grant(
        "certServer.ca.profile",
        "approve",
        ("profiles.approve",),
        "enabling and disabling a profile: certprofile-import, certprofile-mod and certprofile-del do it",
        permissions=(_IMPORT, _MODIFY, _DELETE),
        operations=frozenset(
            {
                "dogtag.profile.enable",
                "dogtag.profile.disable",
                "dogtag.profile.import",
                "dogtag.profile.modify",
                "dogtag.cert.request",
            }
        ),
    ),
    Grant(
        "certServer.profile.configuration",
        "read",
        ("profiles.read",),
        "certprofile-show --out, which everybody may",
        everybody=True,
    ),
    Grant("certServer.ee.profiles", "list", ("profiles.list",), "certprofile-find", everybody=True),
    # R-D17: in this Dogtag nobody who comes by Kerberos can approve an enrolment that waits, whatever the ACL says.
    Grant("certServer.ca.certrequests", "execute", ("certrequests",), _NO_COMMAND),
    Grant("certServer.ca.groups", "execute", ("groups",), _NO_COMMAND),
    Grant("certServer.ca.users", "execute", ("users",), _NO_COMMAND),
    Grant("certServer.ca.connectorInfo", "modify", ("kraconnectors",), _NO_COMMAND),
    Grant("certServer.ca.selftests", "read", ("selftests.read",), _NO_COMMAND),
    Grant("certServer.ca.selftests", "execute", ("selftests.execute",), _NO_COMMAND),
    *_SHARED,
)

# R-D13: people's vaults are the framework's business; it comes with the RA agent's certificate, which other ACLs judge.
_VAULT: Final = (
    "vaults go by the RA agent's certificate; this Dogtag hands no key to people who come by Kerberos"
)

KRA_GRANTS: Final = (
    Grant(
        "certServer.kra.account", "login", ("account.login",), "every session begins with it", everybody=True
    ),
    Grant("certServer.kra.account", "logout", ("account.logout",), "and ends with it", everybody=True),
    Grant("certServer.kra.keys", "execute", ("keys",), _VAULT),
    Grant("certServer.kra.keyrequests", "execute", ("keyrequests",), _VAULT),
    Grant("certServer.kra.groups", "execute", ("groups",), _NO_COMMAND),
    Grant("certServer.kra.users", "execute", ("users",), _NO_COMMAND),
    Grant("certServer.kra.selftests", "read", ("selftests.read",), _NO_COMMAND),
    Grant("certServer.kra.selftests", "execute", ("selftests.execute",), _NO_COMMAND),
    *_SHARED,
)

# Enrolment has no resource of its own: the profile's constraint guards it (D10, D16), so the profiles are guarded for it.
OPERATIONS: Final = frozenset(name for grant in CA_GRANTS for name in grant.operations)
