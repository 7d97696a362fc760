"""The entries that ipa-tpi needs before the first request: containers, groups, rights, indexes, the plugin.

All are values (Entry); the laboratory writes them into a new instance's dse.ldif, converge adds what is
missing to a running server.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ipa_tpi_acls.aci import acis
from ipa_tpi_acls.layout import APPROVE_RIGHT, AUDIT_RIGHT, REQUEST_RIGHT, Layout
from ipa_tpi_acls.request_acis import REQUEST, VOICE

DATABASES = "cn=ldbm database,cn=plugins,cn=config"
PLUGIN_NAME = "ipa-tpi one voice a person"

CONTAINERS = ("tpioperations", "tpioperationgroups", "tpirules", "requests", "anchors")
GROUPS = ("executors", "policy-executors")

# permission, privilege, role
RIGHTS = (
    (REQUEST_RIGHT, "TPI Requester", "TPI Requester"),
    (APPROVE_RIGHT, "TPI Approver", "TPI Approver"),
    (AUDIT_RIGHT, "TPI Auditor", "TPI Auditor"),
)

# What searches filter on, with equality indexes. creatorsName is also what the plugin looks up on every add.
# FreeIPA itself indexes krbPrincipalName, krbCanonicalName and ipaUniqueID.
# createTimestamp lets recent requests be found among more than the server looks through for one search.
INDEXED = (
    "createTimestamp",
    "creatorsName",
    "ipaTpiDigest",
    "ipaTpiEntryId",
    "ipaTpiExecutor",
    "ipaTpiMemberOperation",
    "ipaTpiOperationCategory",
    "ipaTpiOperationName",
    "ipaTpiRefersTo",
    "ipaTpiRequestId",
    "ipaTpiRequestingPrincipal",
    "ipaTpiRight",
    "ipaTpiTarget",
    "memberHost",
    "memberUser",
)


@dataclass(frozen=True)
class Entry:
    """A directory entry: its DN and, for each attribute, its values in order."""

    dn: str
    attributes: dict[str, tuple[str, ...]]

    def ldif(self) -> str:
        """Return the entry as LDIF, without a blank line after it.

        The values are constants of this package and safe strings in the sense of RFC 2849: none is encoded.
        """
        lines = [f"{name}: {value}" for name, values in self.attributes.items() for value in values]
        return "\n".join([f"dn: {self.dn}", *lines]) + "\n"


def plugin_entry() -> Entry:
    """Return the attribute uniqueness entry that makes one voice a person and request (R-K02).

    Below the nearest request, two entries with the class of voices may not have the same creatorsName. The
    request is itself a voice, so its creator cannot approve it. The check runs inside the transaction of the
    add, so racing approvals cannot pass it. 389-ds refuses to start if uniqueness-subtree-entries-oc is
    missing, or if uniqueness-across-all-subtrees is set together with uniqueness-top-entry-oc.
    """
    return Entry(
        f"cn={PLUGIN_NAME},cn=plugins,cn=config",
        {
            "objectClass": ("top", "nsSlapdPlugin", "extensibleObject"),
            "cn": (PLUGIN_NAME,),
            "nsslapd-pluginPath": ("libattr-unique-plugin",),
            "nsslapd-pluginInitfunc": ("NSUniqueAttr_Init",),
            "nsslapd-pluginType": ("betxnpreoperation",),
            "nsslapd-pluginEnabled": ("on",),
            "nsslapd-plugin-depends-on-type": ("database",),
            "nsslapd-pluginId": ("NSUniqueAttr",),
            "nsslapd-pluginVersion": ("none",),
            "nsslapd-pluginVendor": ("ipa-tpi",),
            "nsslapd-pluginDescription": ("one request, approval or denial a person and request",),
            "uniqueness-attribute-name": ("creatorsName",),
            "uniqueness-top-entry-oc": (REQUEST,),
            "uniqueness-subtree-entries-oc": (VOICE,),
        },
    )


def index_entries(backend: str) -> list[Entry]:
    """Return the configuration entries of the equality indexes.

    Args:
        backend: name of the database that holds the suffix, for example userRoot.
    """
    return [
        Entry(
            f"cn={attribute},cn=index,cn={backend},{DATABASES}",
            {
                "objectClass": ("top", "nsIndex"),
                "cn": (attribute,),
                "nsSystemIndex": ("false",),
                "nsIndexType": ("eq",),
            },
        )
        for attribute in INDEXED
    ]


def container_entries(suffix: str) -> list[Entry]:
    """Return cn=tpi and what lies directly below it, each with its complete ACI set.

    The sets go in with the add itself, so at no moment does an entry of ours stand open.

    Args:
        suffix: DN of the domain.
    """
    return list(_containers(Layout(suffix)))


def right_entries(suffix: str) -> list[Entry]:
    """Return roles, privileges and permissions, in the order in which they must be added.

    A permission's member is its privilege, a privilege's its role; who is in a role is the site's business.

    Args:
        suffix: DN of the domain.
    """
    layout = Layout(suffix)
    entries: list[Entry] = []
    for permission, privilege, role in RIGHTS:
        nested = ("top", "groupOfNames", "nestedGroup")
        entries += [
            Entry(layout.role(role), {"objectClass": nested, "cn": (role,)}),
            Entry(
                layout.privilege(privilege),
                {"objectClass": nested, "cn": (privilege,), "member": (layout.role(role),)},
            ),
            Entry(
                layout.permission(permission),
                {
                    "objectClass": ("top", "groupOfNames", "ipaPermission"),
                    "cn": (permission,),
                    "ipaPermissionType": ("SYSTEM",),
                    "member": (layout.privilege(privilege),),
                },
            ),
        ]
    return entries


def _containers(layout: Layout) -> Iterator[Entry]:
    """Yield the entries of container_entries, parents first."""
    guard = acis(layout.suffix)
    names = [(layout.top, "tpi", "nsContainer")]
    names += [(layout.container(name), name, "nsContainer") for name in CONTAINERS]
    names += [(layout.container(name), name, "groupOfNames") for name in GROUPS]
    for dn, name, object_class in names:
        attributes = {"objectClass": ("top", object_class), "cn": (name,)}
        yield Entry(dn, attributes | ({"aci": guard[dn]} if dn in guard else {}))
