"""Every route of the console with every role: who may, who is refused, who is sent to the sign-in."""

import pytest
from fastapi import APIRouter

from app.staff.roles import ROLES, Permission, may
from app.web.console import ROUTES
from app.web.console.route import ConsoleRoute, NoPermission

IDS = {"user_id": "usr_none", "member_id": "mem_none", "session_id": "ses_none", "token": "none"}
IDS |= {
    "entry_id": "ent_none",
    "campaign_id": "cmp_none",
    "pass_id": "pas_none",
    "job_id": "1",
    "key_id": "key_none",
    "report": "joined",
}


# Every method of every route of the console, with what it needs.
FOUND = [
    (method, route.path.format(**IDS), route.needs) for route in ROUTES for method in sorted(route.methods)
]


async def test_every_role_may_what_the_table_says_and_nothing_else(signed_in):
    assert len(FOUND) > 12
    wrong = []
    for role in ROLES:
        browser, _ = await signed_in(role)
        for method, path, needed in FOUND:
            if needed is None or path.endswith("/sign-out"):
                continue
            answer = await browser.request(method, path)
            is_let_in = answer.status_code != 403
            if is_let_in != may(role, needed):
                wrong.append((role, method, path, answer.status_code))
    assert wrong == []


async def test_nobody_gets_in_without_a_session(client):
    for method, path, needed in FOUND:
        answer = await client.request(method, path, headers={"Sec-Fetch-Site": "same-origin"})
        if needed is not None:
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/console/sign-in?next=/console")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://test.evil.example"},
    ],
)
async def test_every_unsafe_route_refuses_what_another_site_sends(signed_in, headers):
    browser, _ = await signed_in("owner")
    del browser.headers["Sec-Fetch-Site"]
    unsafe = [(method, path) for method, path, _ in FOUND if method not in ("GET", "HEAD")]
    assert len(unsafe) >= 8

    answers = {
        path: (await browser.request(method, path, headers=headers)).status_code for method, path in unsafe
    }

    assert set(answers.values()) == {403}
    assert (await browser.get("/console/account")).status_code == 200  # the session still stands


async def test_a_browser_without_fetch_metadata_is_known_by_its_origin(signed_in):
    browser, _ = await signed_in("owner")
    del browser.headers["Sec-Fetch-Site"]

    answer = await browser.post("/console/sign-out", headers={"Origin": "http://test"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")


def test_a_route_that_names_no_permission_cannot_be_made():
    router = APIRouter(route_class=ConsoleRoute)

    with pytest.raises(NoPermission, match="/forgotten"):

        @router.get("/forgotten")
        async def forgotten():
            return None


def test_an_unknown_role_may_nothing():
    assert not any(may("intern", each) for each in Permission)
