"""FreeIPA's object classes and attributes, as far as the laboratory and ipa-tpi touch them.

Names, numbers, syntaxes and relations are FreeIPA's, since clients depend on them. Attributes and classes of the KDC
(krb*) come with the KDC's own schema, of which `kerberos_schema_ldif` makes what 389-ds reads.
"""

from __future__ import annotations

import gzip
from pathlib import Path

KDC_SCHEMA = Path("/usr/share/doc/krb5-kdc-ldap/kerberos.openldap.ldif.gz")

_IPA = "2.16.840.1.113730.3.8."
_SYNTAX = "1.3.6.1.4.1.1466.115.121.1."

# name, number below _IPA, kind; a leading "1" of the kind says single-valued
_ATTRIBUTES = (
    ("accessRuleType", "3.13", "text"),
    ("accessTime", "3.14", "text"),
    ("enrolledBy", "3.3", "dn"),
    ("externalHost", "3.11", "text"),
    ("fqdn", "3.4", "text"),
    ("hostCategory", "3.8", "text"),
    ("ipaAllowedTarget", "11.22", "dn"),
    ("ipaAllowedToPerform", "11.51", "dn"),
    ("ipaProtectedOperation", "11.52", "text"),
    ("ipaNTHash", "11.5", "1octets"),
    ("ipaAllowToImpersonate", "11.21", "dn"),
    ("ipaAssignedIDView", "12.33", "1dn"),
    ("ipaCaCategory", "21.1.4", "text"),
    ("ipaCaId", "21.1.6", "1text"),
    ("ipaCaIssuerDN", "21.1.7", "dn"),
    ("ipaCaSubjectDN", "21.1.8", "dn"),
    ("ipaCaRandomSerialNumberVersion", "21.1.9", "1integer"),
    ("ipaCaHSMConfiguration", "21.1.10", "1text"),
    ("ipaCertificateSubjectBase", "3.23", "text"),
    ("ipaCertIssuerSerial", "11.57", "text"),
    ("ipaCertProfileCategory", "21.1.5", "text"),
    ("ipaCertProfileStoreIssued", "21.1.1", "1boolean"),
    ("ipaCertSubject", "11.56", "1text"),
    ("ipaClientVersion", "3.2", "text"),
    ("ipaConfigString", "3.16", "text"),
    ("ipaCustomFields", "1.5", "text"),
    ("ipaDefaultEmailDomain", "1.13", "text"),
    ("ipaDefaultLoginShell", "1.7", "1ia5"),
    ("ipaDefaultPrimaryGroup", "1.8", "1exact"),
    ("ipaDomainLevel", "19.2.1", "1numeric"),
    ("ipaMinDomainLevel", "19.2.2", "1numeric"),
    ("ipaMaxDomainLevel", "19.2.3", "1numeric"),
    ("ipaEnabledFlag", "3.9", "1boolean"),
    ("ipaGroupObjectClasses", "1.12", "text"),
    ("ipaGroupSearchFields", "1.2", "ia5"),
    ("ipaHomesRootDir", "1.6", "1ia5"),
    ("ipaKeyExtUsage", "11.60", "oid"),
    ("ipaKeyTrust", "11.58", "1text"),
    ("ipaKeyUsage", "11.59", "text"),
    ("ipaKrbAuthzData", "11.37", "exact"),
    ("ipaKrbPrincipalAlias", "11.32", "1text"),
    ("ipaMaxHostnameLength", "1.28", "1integer"),
    ("ipaMaxUsernameLength", "1.9", "1integer"),
    ("ipaMemberCa", "21.1.2", "dn"),
    ("ipaMemberCertProfile", "21.1.3", "dn"),
    ("ipaMigrationEnabled", "3.22", "1boolean"),
    ("ipaPermBindRuleType", "11.45", "1exact"),
    ("ipaPermDefaultAttr", "11.42", "text"),
    ("ipaPermExcludedAttr", "11.44", "text"),
    ("ipaPermIncludedAttr", "11.43", "text"),
    ("ipaPermissionType", "3.25", "text"),
    ("ipaPermLocation", "11.46", "1dn"),
    ("ipaPermRight", "11.47", "text"),
    ("ipaPermTarget", "11.49", "1text"),
    ("ipaPermTargetFilter", "11.48", "text"),
    ("ipaPermTargetFrom", "11.71", "1dn"),
    ("ipaPermTargetTo", "11.70", "1dn"),
    ("ipaPublicKey", "11.53", "octets"),
    ("ipaPwdExpAdvNotify", "1.10", "1integer"),
    ("ipaSearchRecordsLimit", "1.4", "1integer"),
    ("ipaSearchTimeLimit", "1.3", "1integer"),
    ("ipaSELinuxUserMapDefault", "3.26", "1text"),
    ("ipaSELinuxUserMapOrder", "3.27", "1text"),
    ("ipaServiceKeyTypeSize", "1.14", "1text"),
    ("ipaSshPubKey", "11.31", "octets"),
    ("ipaUniqueID", "3.1", "text"),
    ("ipaUserDefaultSubordinateId", "23.14", "1boolean"),
    ("ipaUserObjectClasses", "1.11", "text"),
    ("ipaUserSearchFields", "1.1", "ia5"),
    ("managedBy", "3.18", "dn"),
    ("memberHost", "3.7", "dn"),
    ("memberManager", "23.1", "dn"),
    ("memberPrincipal", "11.20", "text"),
    ("memberService", "3.20", "dn"),
    ("memberUser", "3.5", "dn"),
    ("serviceCategory", "3.19", "text"),
    ("sourceHost", "3.10", "dn"),
    ("sourceHostCategory", "3.12", "text"),
    ("userCategory", "3.6", "text"),
)

_KINDS = {
    "text": ("caseIgnoreMatch", "caseIgnoreSubstringsMatch", "15"),
    "exact": ("caseExactMatch", "caseExactSubstringsMatch", "15"),
    "ia5": ("caseExactIA5Match", "", "26"),
    "dn": ("distinguishedNameMatch", "", "12"),
    "boolean": ("booleanMatch", "", "7"),
    "integer": ("integerMatch", "", "27"),
    "numeric": ("numericStringMatch", "", "36"),
    "octets": ("octetStringMatch", "", "40"),
    "oid": ("objectIdentifierMatch", "", "38"),
}

# name, number below _IPA, kind, superior, must, may; in an order in which superiors come first
_CLASSES = (
    ("ipaObject", "4.12", "AUXILIARY", "top", "ipaUniqueID", ""),
    (
        "ipaAssociation",
        "4.6",
        "ABSTRACT",
        "top",
        "ipaUniqueID cn",
        "memberUser userCategory memberHost hostCategory ipaEnabledFlag description",
    ),
    (
        "ipaHost",
        "4.1",
        "AUXILIARY",
        "top",
        "fqdn",
        "userPassword ipaClientVersion enrolledBy memberOf userClass ipaAssignedIDView",
    ),
    ("ipaService", "4.2", "AUXILIARY", "top", "", "memberOf managedBy ipaKrbAuthzData"),
    ("nestedGroup", "4.3", "STRUCTURAL", "groupOfNames", "", "memberOf"),
    ("ipaUserGroup", "4.4", "STRUCTURAL", "nestedGroup", "", "memberManager"),
    ("ipaHostGroup", "4.5", "STRUCTURAL", "nestedGroup", "", "memberManager"),
    ("ipaKrbPrincipal", "12.8", "AUXILIARY", "krbPrincipalAux", "krbPrincipalName ipaKrbPrincipalAlias", ""),
    (
        "ipaHBACRule",
        "4.7",
        "STRUCTURAL",
        "ipaAssociation",
        "accessRuleType",
        "sourceHost sourceHostCategory serviceCategory memberService externalHost accessTime",
    ),
    ("ipaHBACService", "4.10", "STRUCTURAL", "top", "cn", "description memberOf"),
    (
        "ipaCa",
        "21.2.3",
        "STRUCTURAL",
        "top",
        "cn ipaCaId ipaCaSubjectDN ipaCaIssuerDN",
        "description ipaCaRandomSerialNumberVersion ipaCaHSMConfiguration",
    ),
    ("ipaCertProfile", "21.2.1", "STRUCTURAL", "top", "cn description ipaCertProfileStoreIssued", ""),
    (
        "ipaCaAcl",
        "21.2.2",
        "STRUCTURAL",
        "ipaAssociation",
        "cn",
        (
            "ipaCaCategory ipaCertProfileCategory userCategory hostCategory serviceCategory"
            " ipaMemberCa ipaMemberCertProfile memberService"
        ),
    ),
    ("ipaConfigObject", "4.13", "AUXILIARY", "top", "", "ipaConfigString"),
    ("ipaDomainLevelConfig", "19.1.1", "AUXILIARY", "ipaConfigObject", "ipaDomainLevel", ""),
    (
        "ipaSupportedDomainLevelConfig",
        "19.1.2",
        "AUXILIARY",
        "ipaConfigObject",
        "ipaMinDomainLevel ipaMaxDomainLevel",
        "",
    ),
    ("groupOfPrincipals", "12.6", "AUXILIARY", "top", "cn", "memberPrincipal"),
    (
        "ipaKrb5DelegationACL",
        "12.7",
        "STRUCTURAL",
        "groupOfPrincipals",
        "",
        "ipaAllowToImpersonate ipaAllowedTarget",
    ),
    ("ipaPermission", "4.15", "AUXILIARY", "top", "", "ipaPermissionType"),
    (
        "ipaPermissionV2",
        "12.21",
        "AUXILIARY",
        "ipaPermission",
        "ipaPermBindRuleType ipaPermLocation",
        (
            "ipaPermDefaultAttr ipaPermIncludedAttr ipaPermExcludedAttr ipaPermRight"
            " ipaPermTargetFilter ipaPermTarget ipaPermTargetTo ipaPermTargetFrom"
        ),
    ),
    (
        "ipaGuiConfig",
        "2.1",
        "AUXILIARY",
        "top",
        "",
        (
            "ipaUserSearchFields ipaGroupSearchFields ipaSearchTimeLimit ipaSearchRecordsLimit ipaCustomFields"
            " ipaHomesRootDir ipaDefaultLoginShell ipaDefaultPrimaryGroup ipaMaxUsernameLength ipaPwdExpAdvNotify"
            " ipaUserObjectClasses ipaGroupObjectClasses ipaDefaultEmailDomain ipaMigrationEnabled"
            " ipaCertificateSubjectBase ipaSELinuxUserMapDefault ipaSELinuxUserMapOrder ipaKrbAuthzData"
            " ipaMaxHostnameLength ipaUserDefaultSubordinateId ipaServiceKeyTypeSize"
        ),
    ),
    ("ipaAllowedOperations", "12.22", "AUXILIARY", "top", "", "ipaAllowedToPerform ipaProtectedOperation"),
    ("ipaSshGroupOfPubKeys", "12.11", "ABSTRACT", "top", "", "ipaSshPubKey"),
    ("ipaSshUser", "12.12", "AUXILIARY", "ipaSshGroupOfPubKeys", "", ""),
    (
        "ipaCertificate",
        "12.27",
        "STRUCTURAL",
        "top",
        "cn ipaCertIssuerSerial ipaCertSubject ipaPublicKey",
        "ipaConfigString",
    ),
    ("ipaKeyPolicy", "12.28", "AUXILIARY", "top", "", "ipaKeyTrust ipaKeyUsage ipaKeyExtUsage"),
)


def freeipa_schema_ldif() -> str:
    """Return FreeIPA's schema as a file for the schema folder of a 389-ds instance."""
    lines = [
        "dn: cn=schema",
        "cn: schema",
        "objectClass: top",
        "objectClass: ldapSubentry",
        "objectClass: subschema",
    ]
    lines += [_attribute_type(*row) for row in _ATTRIBUTES]
    lines += [_object_class(*row) for row in _CLASSES]
    return "\n".join(lines) + "\n"


def kerberos_schema_ldif(source: Path = KDC_SCHEMA) -> str:
    """Return the KDC's schema as 389-ds reads it.

    389-ds has a copy of its own, which lacks krbAllowedToDelegateTo.

    Args:
        source: the schema that the KDC's package ships for OpenLDAP.
    """
    with gzip.open(source, "rt", encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file]
    definitions = [
        line for line in lines if line.startswith(("olcAttributeTypes:", "olcObjectClasses:", " "))
    ]
    text = "\n".join(["dn: cn=schema", *definitions]) + "\n"
    return text.replace("olcAttributeTypes:", "attributeTypes:").replace(
        "olcObjectClasses:", "objectClasses:"
    )


def _attribute_type(name: str, number: str, kind: str) -> str:
    """Return the definition of one attribute (RFC 4512 section 4.1.2)."""
    equality, substrings, syntax = _KINDS[kind.removeprefix("1")]
    parts = [f"( {_IPA}{number} NAME '{name}' EQUALITY {equality}"]
    if substrings:
        parts.append(f"SUBSTR {substrings}")
    parts.append(f"SYNTAX {_SYNTAX}{syntax}")
    if kind.startswith("1"):
        parts.append("SINGLE-VALUE")
    return "attributeTypes: " + " ".join([*parts, "X-ORIGIN 'IPA' )"])


def _object_class(name: str, number: str, kind: str, superior: str, must: str, may: str) -> str:
    """Return the definition of one object class (RFC 4512 section 4.1.1)."""
    parts = [f"( {_IPA}{number} NAME '{name}' SUP {superior} {kind}"]
    parts += [
        f"{word} ( {' $ '.join(names.split())} )" for word, names in (("MUST", must), ("MAY", may)) if names
    ]
    return "objectClasses: " + " ".join([*parts, "X-ORIGIN 'IPA' )"])
