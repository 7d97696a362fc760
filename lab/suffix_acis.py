"""The access rules that FreeIPA has at its suffix and near it, to the same effect.

They are what ipa-tpi's own rules below cn=tpi have to hold against: above all, members of admins may do nearly
everything to nearly every entry. The texts are ours; who may do what is FreeIPA's.
"""

from __future__ import annotations

_SELF = 'userdn = "ldap:///self"'
_PASSWORDS = "userPassword krbPrincipalKey sambaLMPassword sambaNTPassword passwordHistory ipaNTHash"
_KDC_TIMES = "krbLastPwdChange krbLastSuccessfulAuth krbLastFailedAuth krbLoginFailedCount"
_NOT_FOR_ADMINS = (
    "userPassword krbPrincipalKey sambaLMPassword sambaNTPassword passwordHistory krbMKey krbPrincipalName"
    " krbCanonicalName krbPwdHistory krbLastPwdChange krbExtraData krbLastSuccessfulAuth krbLastFailedAuth"
    " ipaUniqueID memberOf enrolledBy ipaNTHash ipaProtectedOperation"
)
_OWN = (
    "givenName sn cn displayName title initials telephoneNumber homePhone mobile pager facsimileTelephoneNumber street"
    " l st postalCode manager secretary description carLicense labeledURI seeAlso employeeType businessCategory ou"
    " roomNumber loginShell gecos preferredLanguage"
)
# Never keys, passwords, or who may delegate to whom.
_READABLE = (
    "objectClass cn uid sn givenName displayName initials title mail employeeNumber employeeType manager description"
    " telephoneNumber ou uidNumber gidNumber homeDirectory loginShell gecos ipaSshPubKey ipaUniqueID memberOf member"
    " memberUser memberHost managedBy fqdn krbPrincipalName krbCanonicalName ipaKrbPrincipalAlias"
    " krbPrincipalExpiration krbPasswordExpiration krbPrincipalAuthInd nsAccountLock userCertificate enrolledBy"
    " serverHostName createTimestamp modifyTimestamp entryUSN nsUniqueId"
)


def suffix_acis(suffix: str) -> dict[str, list[str]]:
    """Return the access rules by the entry that carries them.

    Args:
        suffix: the realm's suffix.
    """
    admins = f'groupdn = "ldap:///cn=admins,cn=groups,cn=accounts,{suffix}"'
    everybody = 'userdn = "ldap:///anyone"'
    bound = 'userdn = "ldap:///all"'
    return {
        suffix: [
            _aci(_but(_NOT_FOR_ADMINS), "Admin can manage any entry", "all", admins),
            _aci(
                _only(f"{_PASSWORDS} krbPasswordExpiration"),
                "Admins can write passwords",
                "add, delete, write",
                admins,
            ),
            _aci(
                _only("krbPrincipalName krbCanonicalName"),
                "Admins can write principal names",
                "write",
                admins,
            ),
            _aci(
                _only(f"krbPrincipalName krbCanonicalName ipaUniqueID memberOf enrolledBy {_KDC_TIMES}"),
                "Admins can read names, membership and times",
                "read, search, compare",
                admins,
            ),
            _aci(_only(_PASSWORDS), "Self can write own password", "write", _SELF),
            _aci(_only(_OWN), "User Self service", "write", _SELF),
            _aci(_only("ipaSshPubKey"), "Users can manage their own SSH public keys", "write", _SELF),
            _aci(_only("userCertificate"), "Users can manage their own X.509 certificates", "write", _SELF),
            _aci(
                '(targetfilter = "(objectClass=nsContainer)")' + _only("objectClass cn"),
                "Anyone can see containers",
                "read, search, compare",
                everybody,
            ),
            _aci(
                '(targetfilter = "(objectClass=domain)")' + _only("objectClass dc info"),
                "Anyone can see the base",
                "read, search, compare",
                everybody,
            ),
        ],
        f"cn=accounts,{suffix}": [
            _aci(_only("aci"), "Admins can manage delegations", "write, delete", admins),
            _aci(
                _only("krbPrincipalKey krbLastPwdChange"),
                "Admins are allowed to rekey any entity",
                "write",
                admins,
            ),
            *_keytab_retrieval(),
        ],
        # Not cn=roles: who has which role is for admins, except that a person's memberOf shows it.
        f"cn=users,cn=accounts,{suffix}": [_readable("users")],
        f"cn=groups,cn=accounts,{suffix}": [_readable("groups")],
        f"cn=hostgroups,cn=accounts,{suffix}": [_readable("host groups")],
        f"cn=services,cn=accounts,{suffix}": [_readable("services"), _managed_by("services")],
        f"cn=computers,cn=accounts,{suffix}": [_readable("hosts"), _managed_by("hosts")],
        f"cn=masters,cn=ipa,cn=etc,{suffix}": [
            _aci(
                '(targetfilter = "(ipaConfigString=enabledService)")'
                + _only("objectClass cn ipaConfigString"),
                "Find IPA masters",
                "read, search, compare",
                bound,
            ),
        ],
    }


def config_acis(suffix: str) -> dict[str, list[str]]:
    """Return the access rules below cn=config, by the entry that carries them.

    Args:
        suffix: the realm's suffix.
    """
    replication = f"cn=Modify Replication Agreements,cn=permissions,cn=pbac,{suffix}"
    admins = f'groupdn = "ldap:///cn=admins,cn=groups,cn=accounts,{suffix}"'
    return {
        "cn=tasks,cn=config": [
            _aci(
                _only("*"),
                "Run tasks after replica re-initialization",
                "add",
                f'groupdn = "ldap:///{replication}"',
            ),
            _aci(_only("*"), "Admin can read all tasks", "read, compare, search", admins),
        ],
    }


def _keytab_retrieval() -> list[str]:
    """Who may fetch keys by FreeIPA's keytab operation: the entry itself, and those whom it names."""
    rules = (
        ("read_keys", "Users allowed to retrieve keytab keys", "read"),
        ("write_keys", "Users allowed to create keytab keys", "write"),
    )
    return [
        _aci(
            _only(f"ipaProtectedOperation;{operation}"),
            title,
            right,
            f'userattr = "ipaAllowedToPerform;{operation}#USERDN"'
            f' or userattr = "ipaAllowedToPerform;{operation}#GROUPDN"',
        )
        for operation, title, right in rules
    ] + [
        _aci(
            _only("ipaProtectedOperation;write_keys"),
            "Entities are allowed to rekey themselves",
            "write",
            _SELF,
        ),
    ]


def _readable(what: str) -> str:
    return _aci(
        _only(_READABLE),
        f"Who is authenticated reads {what}",
        "read, search, compare",
        'userdn = "ldap:///all"',
    )


def _managed_by(what: str) -> str:
    return _aci(
        _only("userCertificate krbPrincipalKey"),
        f"Hosts can manage certificates and keys of the {what} that they manage",
        "write",
        'userattr = "parent[0,1].managedBy#USERDN"',
    )


def _only(names: str) -> str:
    return f'(targetattr = "{" || ".join(names.split())}")'


def _but(names: str) -> str:
    return f'(targetattr != "{" || ".join(names.split())}")'


def _aci(target: str, title: str, rights: str, who: str) -> str:
    return f'{target}(version 3.0; acl "{title}"; allow ({rights}) {who};)'
