"""Where things are below a suffix: the DNs that containers, ACIs and tests share."""

from dataclasses import dataclass

REQUEST_RIGHT = "TPI Request"
APPROVE_RIGHT = "TPI Approve"
AUDIT_RIGHT = "TPI Audit"


@dataclass(frozen=True)
class Layout:
    """The DNs of ipa-tpi's entries below one suffix.

    Args:
        suffix: DN of the domain, for example dc=example,dc=test.
    """

    suffix: str

    @property
    def top(self) -> str:
        """The container of everything that is ours."""
        return f"cn=tpi,{self.suffix}"

    def container(self, name: str) -> str:
        """Return the DN of the container or group `name` directly below the top."""
        return f"cn={name},{self.top}"

    @property
    def requests(self) -> str:
        """The container of requests."""
        return self.container("requests")

    @property
    def anchors(self) -> str:
        """The container of audit anchors."""
        return self.container("anchors")

    @property
    def executors(self) -> str:
        """The group of the executors' services."""
        return self.container("executors")

    @property
    def policy_executors(self) -> str:
        """The group of those executors that may change policy."""
        return self.container("policy-executors")

    @property
    def accounts(self) -> str:
        """FreeIPA's container of everybody who can bind."""
        return f"cn=accounts,{self.suffix}"

    @property
    def services(self) -> str:
        """FreeIPA's container of services."""
        return f"cn=services,{self.accounts}"

    def permission(self, name: str) -> str:
        """Return the DN of a permission."""
        return f"cn={name},cn=permissions,cn=pbac,{self.suffix}"

    def privilege(self, name: str) -> str:
        """Return the DN of a privilege."""
        return f"cn={name},cn=privileges,cn=pbac,{self.suffix}"

    def role(self, name: str) -> str:
        """Return the DN of a role."""
        return f"cn={name},cn=roles,{self.accounts}"
