"""What each role may do in the console: the whole table."""

from enum import StrEnum


class Permission(StrEnum):
    """One thing a page or a button needs."""

    HOME = "home"  # the figures of the programme
    OWN_ACCOUNT = "own_account"  # one's own password, second factor and sessions
    MEMBERS_READ = "members_read"
    MEMBERS_POINTS = "members_points"  # by hand, and undoing what was booked
    MEMBERS_BLOCK = "members_block"
    MEMBERS_NOTES = "members_notes"  # writing them; whoever sees a member reads them
    PASSES_SEND = "passes_send"  # a new link or card to its member
    CAMPAIGNS_READ = "campaigns_read"
    CAMPAIGNS_WRITE = "campaigns_write"
    CAMPAIGNS_APPROVE = "campaigns_approve"  # above a set size, another than who had it planned
    REPORTS = "reports"  # tables with names and phones, to take along
    USERS_MANAGE = "users_manage"
    KEYS = "keys"  # of the REST API
    OPERATIONS = "operations"  # the work that waits or gave up
    AUDIT_READ = "audit_read"


_EVERYBODY = frozenset({Permission.OWN_ACCOUNT})
_CAMPAIGNS = frozenset({Permission.CAMPAIGNS_READ, Permission.CAMPAIGNS_WRITE, Permission.CAMPAIGNS_APPROVE})

ROLES: dict[str, frozenset[Permission]] = {
    "owner": frozenset(Permission),
    "manager": _EVERYBODY
    | {
        Permission.HOME,
        Permission.MEMBERS_READ,
        Permission.MEMBERS_POINTS,
        Permission.MEMBERS_BLOCK,
        Permission.MEMBERS_NOTES,
        Permission.PASSES_SEND,
        Permission.REPORTS,
        Permission.AUDIT_READ,
    }
    | _CAMPAIGNS,
    "marketer": _EVERYBODY | {Permission.HOME} | _CAMPAIGNS,
    "hotline": _EVERYBODY | {Permission.MEMBERS_READ, Permission.MEMBERS_NOTES, Permission.PASSES_SEND},
    "security": _EVERYBODY
    | {
        Permission.HOME,
        Permission.MEMBERS_READ,
        Permission.MEMBERS_BLOCK,
        Permission.MEMBERS_NOTES,
        Permission.AUDIT_READ,
    },
    "auditor": _EVERYBODY | {Permission.HOME, Permission.CAMPAIGNS_READ, Permission.AUDIT_READ},
}


def may(role: str, permission: Permission) -> bool:
    """Whether a role has a permission; an unknown role has none."""
    return permission in ROLES.get(role, frozenset())
