"""The console: a page for each subject, behind a sign-in and one permission each."""

from fastapi import APIRouter

from app.web.console import (
    account,
    audit,
    campaigns,
    home,
    keys,
    member_actions,
    members,
    reports,
    sign_in,
    users,
    work,
)
from app.web.console.route import ConsoleRoute, NoPermission

router = APIRouter(include_in_schema=False)
ROUTES: list[ConsoleRoute] = []  # all of them, each with what it needs
for each in (sign_in, home, campaigns, members, member_actions, reports, users, keys, work, audit, account):
    for route in each.router.routes:
        if not isinstance(route, ConsoleRoute):
            raise NoPermission(f"{each.__name__}: its router needs route_class=ConsoleRoute")
        ROUTES.append(route)
    router.include_router(each.router)
