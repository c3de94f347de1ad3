"""What each role may do in the console: the whole table."""

from enum import StrEnum


class Permission(StrEnum):
    """One thing a page or a button needs."""

    HOME = "home"  # the figures of the programme
    OWN_ACCOUNT = "own_account"  # one's own password, second factor and sessions
    MEMBERS_READ = "members_read"
    USERS_MANAGE = "users_manage"
    AUDIT_READ = "audit_read"


_EVERYBODY = frozenset({Permission.OWN_ACCOUNT})

ROLES: dict[str, frozenset[Permission]] = {
    "owner": frozenset(Permission),
    "manager": _EVERYBODY | {Permission.HOME, Permission.MEMBERS_READ, Permission.AUDIT_READ},
    "marketer": _EVERYBODY | {Permission.HOME},
    "hotline": _EVERYBODY | {Permission.MEMBERS_READ},
    "security": _EVERYBODY | {Permission.HOME, Permission.MEMBERS_READ, Permission.AUDIT_READ},
    "auditor": _EVERYBODY | {Permission.HOME, Permission.AUDIT_READ},
}


def may(role: str, permission: Permission) -> bool:
    """Whether a role has a permission; an unknown role has none."""
    return permission in ROLES.get(role, frozenset())
