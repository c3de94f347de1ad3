"""The four processes and the comparisons by REST, for whoever has no connector."""

from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from app.members import api_keys
from tests.bitrix24.conftest import School

# What differs between the databases is tried by the processes, the gaps and the tab.
pytestmark = pytest.mark.parametrize("database", ["sqlite"])


@dataclass
class Api:
    school: School
    key: str
    sent: int = 0

    async def __call__(self, method: str, path: str, **body: Any) -> httpx2.Response:
        self.sent += 1
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": f"key-{self.sent}"}
        return await self.school.http.request(
            method, f"/api/v1/sources/school/{path}", json=body or None, headers=headers
        )


@pytest.fixture
async def api(school: School) -> Api:
    async with school.services.sessions.begin() as session:
        _, key = await api_keys.create_key(
            session, school.program.id, name="crm", scopes=["*"], now=school.clock()
        )
    return Api(school, key)


PERSON = {"contact": "contact:9", "phone": "8 916 123-45-67", "name": "Анна"}


async def test_the_four_processes_by_rest(api: Api):
    nothing = (await api("POST", "checks", person=PERSON, amount="1000")).json()
    issued = (await api("POST", "cards", person=PERSON, opening_points=500)).json()
    added = (await api("POST", "adjustments", person=PERSON, points=100, reference="visit:1")).json()
    earned = [
        (await api("PUT", "deals/7", person=PERSON, amount=amount, outcome=outcome)).json()["points"]
        for amount, outcome in (("1000", "won"), ("3000.00", "won"), ("3000", "lost"), ("2 000,00", "won"))
    ]
    check = (await api("POST", "checks", person=PERSON, amount="1000", deal="8")).json()
    spent = (await api("POST", "adjustments", person=PERSON, points=-50, reference="visit:2")).json()
    again = (await api("POST", "adjustments", person=PERSON, points=-50, reference="visit:2")).json()

    assert (nothing["has_card"], nothing["offers_card"]) == (False, True)
    assert (issued["has_card"], issued["balance"], issued["tier"]) == (True, 500, "Базовый")
    assert added["balance"] == 600
    assert earned == [50, 150, 0, 100]
    assert (check["balance"], check["redeemable"]) == (700, 500)
    assert spent["balance"] == again["balance"] == 650


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("PUT", "deals/7", {"amount": "-1", "outcome": "won"}, "negative_amount"),
        ("PUT", "deals/7", {"amount": "1", "outcome": "won", "currency": "USD"}, "foreign_currency"),
        ("PUT", "deals/7", {"amount": "much", "outcome": "won"}, "bad_amount"),
        ("POST", "adjustments", {"points": -9, "reference": "x"}, "unknown_contact"),
    ],
)
async def test_what_cannot_be_done_says_why(
    api: Api, method: str, path: str, body: dict[str, Any], code: str
):
    answer = await api(method, path, person=PERSON, **body)

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert await api.school.entries() == []


async def test_a_comparison_is_ordered_and_read_as_json_and_csv(api: Api):
    school = api.school
    school.won(1_000, school.add_client())
    await school.settle()

    ordered = await api("POST", "reconciliations")
    await school.work()
    (report,) = (await api("GET", "reconciliations")).json()["data"]
    lines = (await api("GET", f"reconciliations/{report['id']}")).json()["lines"]
    csv = await api("GET", f"reconciliations/{report['id']}/lines.csv")

    assert ordered.status_code == 202
    assert (report["matched"], report["disputed"]) == (0, 1)
    assert lines[0]["reason"] == "unknown_contact"
    assert csv.text.splitlines()[1] == "disputed,deal:1,1000.0 RUB,0.00,0,unknown_contact"
    assert (await api("GET", "reconciliations/rec_no")).status_code == 404
