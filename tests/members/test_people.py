"""People: phones as they are written, accounts that are found or made once, card numbers."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Sessions
from app.members import people
from app.members.models import Member
from tests.make import NOON, make_member, make_program, make_tier


@pytest.mark.parametrize(
    ("text", "country", "e164"),
    [
        ("8 (912) 345-67-89", "RU", "+79123456789"),
        ("9123456789", "RU", "+79123456789"),
        ("+7 701 234 56 78", "RU", "+77012345678"),
        ("8 701 234 56 78", "KZ", "+77012345678"),
        ("020 7946 0018", "GB", "+442079460018"),
        ("٠٩١٢٣٤٥٦٧٨٩", "IR", "+989123456789"),
    ],
)
def test_a_phone_as_people_write_it_is_kept_as_e164(text: str, country: str, e164: str) -> None:
    assert people.parse_phone(text, country) == e164


@pytest.mark.parametrize("text", ["", "call me", "12", "+7912345678", "+79123456789 ext. 5", "1" * 500, "+0"])
def test_what_is_no_phone_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(people.InvalidPhone, match=r"\+7\d{10}"):
        people.parse_phone(text, "RU")


async def test_two_who_bring_the_same_phone_at_once_share_one_account(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        program = await make_program(session)
        tier = await make_tier(session, program, threshold=0)

    async def bring() -> tuple[str, bool, str | None]:
        async with sessions.begin() as session:
            account, created = await people.find_or_create_account(session, program, "+79123456789", NOON)
            return account.id, created, account.tier_id

    found = await asyncio.gather(*(bring() for _ in range(8)))

    assert len({account_id for account_id, _, _ in found}) == 1
    assert [created for _, created, _ in found].count(True) == 1
    assert {tier_id for _, _, tier_id in found} == {tier.id}


async def test_without_a_phone_everybody_has_an_account_of_their_own(session: AsyncSession) -> None:
    program = await make_program(session)

    found = [await people.find_or_create_account(session, program, None, NOON) for _ in range(2)]

    assert found[0][0].id != found[1][0].id
    assert [created for _, created in found] == [True, True]


@pytest.mark.parametrize("database", ["sqlite"])
async def test_a_drawn_card_number_passes_the_luhn_test(session: AsyncSession) -> None:
    program = await make_program(session)
    account, _ = await people.find_or_create_account(session, program, None, NOON)

    numbers = [
        (
            await people.add_member(
                session,
                program,
                account,
                name="Anna",
                phone=None,
                email=None,
                birthday=None,
                language="en",
                answers={},
                now=NOON,
            )
        ).card_number
        for _ in range(20)
    ]

    assert all(len(number) == 16 and _luhn_sum(number) % 10 == 0 for number in numbers)
    assert len(set(numbers)) == 20


def _luhn_sum(number: str) -> int:
    """As the standard words it: from the right, every second digit doubled and its digits added."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (place % 2 + 1)
        total += sum(map(int, str(value)))
    return total


async def test_an_external_id_names_one_member_of_the_programme(session: AsyncSession) -> None:
    member: Member = await make_member(session)
    other: Member = await make_member(session)  # of another programme: free to have the same id
    await people.add_external_ids(session, member, [("crm", "contact:1"), ("crm", "contact:1")])
    await people.add_external_ids(session, other, [("crm", "contact:1")])

    found = await people.member_by_id(session, member.program_id, "ext:crm:contact:1")

    assert found.id == member.id
