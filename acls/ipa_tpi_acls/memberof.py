"""The memberOf plugin keeps away from what nobody may change.

The plugin writes into every entry that somebody names as a member of a group, above all access control: a memberOf,
and the class nsMemberOf, which stays when the group is gone. So whoever may write any group at all could change a
request, a veto or a rule, and a reader that accepts exactly known sets of classes would take it no more (R-X03, R-K19).
FreeIPA keeps the plugin out of some of its own containers in the same way.
"""

from collections.abc import Iterator

import ldap

from ipa_tpi_acls.connection import Directory
from ipa_tpi_acls.layout import Layout
from ipa_tpi_acls.plan import Modify, Step, folded

PLUGIN = "cn=MemberOf Plugin,cn=plugins,cn=config"
EXCLUDED = "memberOfEntryScopeExcludeSubtree"
# Operations and their groups may bear a memberOf (schema.py), and their readers leave it out.
CONTAINERS = ("requests", "anchors", "tpirules")


def memberof_steps(directory: Directory, suffix: str) -> Iterator[Step]:
    """Compare what the plugin is kept out of with CONTAINERS.

    Not the groups cn=executors and cn=policy-executors: the rule about who reads nothing goes by memberOf.
    Other exclusions stay. The plugin takes the change up at once.
    """
    present = directory.values(PLUGIN, EXCLUDED)
    if present is None:
        return
    excluded = {folded(dn) for dn in present.get(EXCLUDED.lower(), ())}
    layout = Layout(suffix)
    missing = [dn for dn in map(layout.container, CONTAINERS) if folded(dn) not in excluded]
    if missing:
        change = (ldap.MOD_ADD, EXCLUDED, [dn.encode() for dn in missing])
        yield Step("plugin", PLUGIN, f"keep out of {'; '.join(missing)}", Modify(PLUGIN, (change,)))
