"""Asks libipa_hbac about CA ACLs, as FreeIPA's framework does; run with the system's python.

Standard input: a list of [ACLs, CA, profile, [kind, name, groups]].  Standard output: a list of booleans.
"""

import json
import sys

import pyhbac  # type: ignore[import-not-found]


def _element(everything: bool, names: list[str], groups: list[str]) -> object:
    element = pyhbac.HbacRuleElement(names=names, groups=groups)
    if everything:
        element.category = {pyhbac.HBAC_CATEGORY_ALL}
    return element


def main() -> None:
    """Answer."""
    answers = []
    for acls, ca, profile, (kind, name, groups) in json.load(sys.stdin):
        rules = []
        for number, acl in enumerate(acls):
            rule = pyhbac.HbacRule(f"acl{number}", enabled=acl["enabled"])
            rule.srchosts.category = {pyhbac.HBAC_CATEGORY_ALL}
            rule.targethosts = _element(acl["any_ca"], acl["cas"] or ["ipa"], [])
            rule.services = _element(acl["any_profile"], acl["profiles"], [])
            rule.users = _element(
                kind in acl["anybody"], acl["members"].get(kind, []), acl["groups"].get(kind, [])
            )
            rules.append(rule)
        asked = pyhbac.HbacRequest()
        asked.user.name, asked.user.groups = name, ([] if kind == "service" else groups)
        asked.targethost.name, asked.service.name = ca, profile
        answers.append(asked.evaluate(rules) == pyhbac.HBAC_EVAL_ALLOW)
    json.dump(answers, sys.stdout)


main()
