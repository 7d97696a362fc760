"""Who comes in, and what each is: the columns of the access matrix, in the words of DESIGN.md."""

from lab.people import PEOPLE

HERE, OTHER, POLICY_EXECUTOR = "tpi/localhost", "tpi/other.tpi.test", "tpi/policy.tpi.test"
ANONYMOUS, DIRECTORY_MANAGER = "anonymous", "Directory Manager"
# Two people whom only these tests have: an administrator whom root made a policy executor; and who makes the
# requests that are nobody else's own.
IVAN, JUDY = "ivan", "judy"

# Their keytabs, as lab.realm describes them; the policy executor's is made by acls_world.
SERVICES = {
    "host/localhost": "host",
    "HTTP/localhost": "http",
    "ldap/localhost": "ldap",
    HERE: "tpi",
    OTHER: "tpi_other",
    POLICY_EXECUTOR: "tpi_policy",
}

OPERATORS = {"alice", "bob", "carol", "erin", "erin-admin"}
REQUESTERS = OPERATORS | {"grace", JUDY}
# Heidi is made an approver who may not request.
APPROVERS = OPERATORS | {"Heidi"}
AUDITORS = {"frank"}
ADMINS = {"adam", "erin-admin", IVAN}
EXECUTORS = {HERE, OTHER, POLICY_EXECUTOR}
POLICY_EXECUTORS = {POLICY_EXECUTOR, IVAN}

EVERYBODY = (*(person.uid for person in PEOPLE), IVAN, *SERVICES, ANONYMOUS, DIRECTORY_MANAGER)

WHAT_THEY_ARE = {
    "alice": "requester and approver, through nested groups; so are bob and carol",
    "dave": "a person without any role",
    "adam": "member of admins, without any role",
    "erin": "requester and approver; erin-admin is her second account, and member of admins",
    "frank": "auditor",
    "grace": "requester only",
    "Heidi": "approver only",
    IVAN: "member of admins whom root put into cn=policy-executors",
    "host/localhost": "the host; HTTP/localhost its web server, ldap/localhost its directory",
    HERE: "executor of this host, member of cn=executors; tpi/other.tpi.test that of another",
    POLICY_EXECUTOR: "member of cn=executors and of cn=policy-executors",
    ANONYMOUS: "nobody in particular; let in at all for these tests only",
    DIRECTORY_MANAGER: "root over ldapi, above all access rules",
}
