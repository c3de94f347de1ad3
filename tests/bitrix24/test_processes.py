"""The four processes of a card, from a contact and a deal in the portal to points and back."""

from app.job_queue import kinds
from tests.bitrix24.conftest import School


async def test_process_1_a_card_is_issued_from_a_contact_and_written_back(school: School):
    anna = school.add_client()

    await school.issue(anna)

    (member,) = await school.members()
    assert (member.name, member.phone, await school.balance()) == ("Анна Петрова", "+79161234567", 500)
    fields = school.portal.contacts[anna.id].fields
    assert fields["UF_CRM_PASSBELL_CARD"] == member.card_number
    assert str(fields["UF_CRM_PASSBELL_BALANCE"]) == "500"
    assert fields["UF_CRM_PASSBELL_TIER"] == "Базовый"
    page = await school.http.get(fields["UF_CRM_PASSBELL_LINK"])
    assert page.status_code == 200
    (sms,) = await school.texts()
    assert sms.recipient == "+79161234567"


async def test_process_1_a_form_on_the_site_ends_in_one_member_one_sms_one_notice(school: School):
    school.add_client(webform=3)
    await school.settle()
    await school.settle()

    assert len(await school.members()) == 1
    assert len(await school.texts()) == 1
    (notice,) = school.said("im.notify.system.add")
    assert "Анна Петрова" in notice["MESSAGE"]
    assert notice["USER_ID"] == "7"


async def test_a_contact_typed_in_by_hand_gets_no_card_unless_everybody_does(school: School):
    school.add_client()
    await school.settle()
    assert await school.members() == []

    await school.change_settings(cards_for="everybody")
    school.add_client("Пётр", "+7 916 765-43-21")
    await school.settle()

    assert [each.name for each in await school.members()] == ["Пётр"]


async def test_process_3_a_won_deal_earns_at_the_tiers_rate(school: School):
    anna = school.add_client()
    await school.issue(anna)

    first = school.won(20_000, anna)
    await school.settle()
    second = school.won(10_000, anna)
    await school.settle()

    earned = {each.source_event: each.points for each in await school.entries() if each.kind == "earn"}
    assert earned == {f"deal:{first.id}": 1000, f"deal:{second.id}": 700}
    assert school.portal.contacts[anna.id].fields["UF_CRM_PASSBELL_TIER"] == "Золото"
    assert str(school.portal.contacts[anna.id].fields["UF_CRM_PASSBELL_BALANCE"]) == "2200"
    lines = [each["fields"]["COMMENT"] for each in school.said("crm.timeline.comment.add")]
    assert lines == ["Passbell: +1000 баллов, на карте 1500.", "Passbell: +700 баллов, на карте 2200."]


async def test_process_3_ten_edits_post_the_difference_and_a_lost_deal_is_reversed(school: School):
    anna = school.add_client()
    await school.issue(anna)
    deal = school.won(1_000, anna)
    await school.settle()

    for amount in range(2_000, 12_000, 1_000):
        school.portal.edit_deal(deal, amount=amount)
        await school.settle()
    assert await school.balance() == 500 + 550
    school.portal.edit_deal(deal, amount=3_000)
    await school.settle()
    assert await school.balance() == 500 + 150
    school.portal.edit_deal(deal, title="Другое название")
    await school.settle()
    school.portal.lose(deal)
    await school.settle()
    assert await school.balance() == 500
    school.portal.win(deal)
    await school.settle()

    assert await school.balance() == 500 + 150


async def test_process_3_a_deleted_deal_is_worth_nothing(school: School):
    anna = school.add_client()
    await school.issue(anna)
    deal = school.won(10_000, anna)
    await school.settle()

    school.portal.delete_deal(deal)
    await school.settle()

    assert await school.balance() == 500


async def test_two_children_on_their_mothers_phone_have_two_cards_and_one_balance(school: School):
    masha, misha = school.add_client("Маша"), school.add_client("Миша", "+7 916 1234567")
    await school.issue(masha)
    await school.issue(misha)

    school.won(10_000, misha)
    await school.settle()

    assert [each.name for each in await school.members()] == ["Маша", "Миша"]
    assert len({each.account_id for each in await school.members()}) == 1
    assert await school.balance() == 500 + 500  # the opening balance is one gift for the account
    balances = [str(each.fields["UF_CRM_PASSBELL_BALANCE"]) for each in school.portal.contacts.values()]
    assert balances == ["1000", "1000"]


async def test_the_same_event_thrice_moves_points_once(school: School):
    anna = school.add_client()
    await school.issue(anna)
    deal = school.won(10_000, anna)
    school.portal.tell("ONCRMDEALUPDATE", deal.id)
    school.portal.tell("ONCRMDEALUPDATE", deal.id)

    await school.settle()

    assert await school.balance() == 1000


async def test_a_deal_won_before_the_portal_was_connected_earns_nothing_however_it_is_edited(school: School):
    anna = school.add_client()
    await school.issue(anna)
    school.clock.tick(-86_400)
    old = school.won(10_000, anna)
    school.clock.tick(86_400)
    school.portal.edit_deal(old, title="Старая сделка")
    await school.settle()
    await school.run(kinds.BITRIX24_POLL)
    await school.run(kinds.BITRIX24_RECONCILE)
    assert await school.balance() == 500

    await school.change_settings(counts_from="2020-01-01T00:00:00Z")
    school.portal.edit_deal(old, title="Всё-таки считается")
    await school.settle()

    assert await school.balance() == 1000
