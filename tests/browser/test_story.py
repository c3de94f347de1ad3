"""The whole story on the demo desk: join, SMS, add, earn, ring; and what two people on one number share."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, OpenPage
from tests.browser.desk import desk

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_a_customer_joins_adds_the_card_and_sees_a_purchase_ring(open_page: OpenPage, viewport, number):
    name = f"Anna {viewport.name}"
    page = open_page("/demo?lang=en")
    phone, _, till = desk(page)

    phone.join("coffee", name, number)
    expect(phone.banner).to_contain_text("Your card:")
    expect(page.locator("#notices li").first).to_contain_text(f"New member: {name}")
    phone.add_from_newest_text()
    expect(phone.points(name)).to_have_text("50")
    rings = phone.rings()

    till.scan(name)
    till.buy("1000")

    expect(till.result).to_have_text("+50 points. Balance: 100")
    expect(phone.points(name)).to_have_text("100")
    expect(phone.lock_screen().first).to_have_text("Your balance is now 100 points")
    assert phone.rings() == rings + 1
    expect(page.locator("#waterfall .step-fetched .ms")).to_have_text(re.compile(r"^\d+ ms$"))


@pytest.mark.parametrize("viewport", [DESKTOP], ids=["desktop"])
def test_mother_and_child_on_one_number_share_a_balance_and_each_phone_rings_once(
    open_page: OpenPage, number
):
    page = open_page("/demo?lang=ru")
    mother, child, till = desk(page)
    page.get_by_role("button", name="Школа «Ладья»", exact=True).last.click()

    mother.join("school", "Ольга Общая", number, level="club")
    expect(mother.banner).to_be_visible()
    mother.add_from_newest_text()
    expect(mother.points("Ольга Общая")).to_have_text("100")
    before = mother.texts().count()
    child.join("school", "Тимур Общий", number, level="beginner")
    expect(mother.texts()).to_have_count(before + 1)  # the number is the mother's
    mother.texts().last.locator(".forward").click()
    child.add_from_newest_text()
    expect(child.points("Тимур Общий")).to_have_text("100")
    rings = mother.rings(), child.rings()

    till.scan("Тимур Общий")
    till.buy("1000")

    expect(mother.points("Ольга Общая")).to_have_text("130")
    expect(child.points("Тимур Общий")).to_have_text("130")
    expect(mother.lock_screen().first).to_contain_text("130")
    expect(child.lock_screen().first).to_contain_text("130")
    assert (mother.rings(), child.rings()) == (rings[0] + 1, rings[1] + 1)


@pytest.mark.parametrize("viewport", [DESKTOP], ids=["desktop"])
def test_the_till_spends_and_takes_back(open_page: OpenPage, number):
    page = open_page("/demo?lang=en")
    phone, _, till = desk(page)
    phone.join("coffee", "Boris Till", number)
    till.scan("Boris Till")

    till.redeem("30")
    expect(till.result).to_have_text("−30 points. Balance: 20")
    expect(page.locator("#balance")).to_have_text("20")
    till.reverse()
    expect(till.result).to_have_text("+30 points. Balance: 50")
    till.redeem("51")
    expect(till.result).to_contain_text("Refused")

    expect(page.locator("#requests li").first).to_contain_text("409")


@pytest.mark.parametrize("viewport", [DESKTOP], ids=["desktop"])
def test_a_deal_closed_in_the_crm_earns_follows_its_amount_and_is_taken_back(open_page: OpenPage, number):
    page = open_page("/demo?lang=en")
    phone, _, till = desk(page)
    phone.join("coffee", "Vera Deal", number)
    till.scan("Vera Deal")
    balance, deal = page.locator("#balance"), page.locator("#deals li").first

    page.locator("#deal").click()
    expect(balance).to_have_text("650")
    expect(deal).to_contain_text("Vera Deal")
    deal.locator("[data-act=again]").click()
    deal.locator("input").fill("20000")
    deal.locator("[data-act=save]").click()
    expect(balance).to_have_text("1,050")
    deal.locator("[data-act=lose]").click()
    expect(balance).to_have_text("50")
    deal.locator("[data-act=win]").click()
    expect(balance).to_have_text("1,050")


@pytest.mark.parametrize("viewport", [DESKTOP], ids=["desktop"])
def test_a_removed_card_is_unregistered_and_later_purchases_ring_nobody(open_page: OpenPage, number):
    page = open_page("/demo?lang=en")
    phone, _, till = desk(page)
    phone.join("coffee", "Gleb Removed", number)
    expect(phone.banner).to_be_visible()
    phone.add_from_newest_text()
    expect(phone.points("Gleb Removed")).to_be_visible()
    devices = page.locator("#members tr").filter(has_text="Gleb Removed").locator("td").last
    expect(devices).to_have_text("1")

    phone.root.locator(".card.chosen .more").click()
    phone.root.get_by_role("button", name="Remove Pass").click()

    expect(phone.card("Gleb Removed")).to_have_count(0)
    expect(devices).to_have_text("0")
    expect(page.locator("#trace li").filter(has_text="Removed from a phone")).to_have_count(1)
    rings = phone.rings()
    till.scan("Gleb Removed")
    till.buy("1000")
    expect(till.result).to_have_text("+50 points. Balance: 100")
    expect(page.locator("#trace .kind-changed")).to_have_count(1)
    assert phone.rings() == rings


@pytest.mark.parametrize("viewport", [DESKTOP], ids=["desktop"])
def test_with_automatic_updates_off_the_phone_learns_of_a_purchase_by_pulling(open_page: OpenPage, number):
    page = open_page("/demo?lang=en")
    phone, _, till = desk(page)
    phone.join("coffee", "Ivan Pulling", number)
    expect(phone.banner).to_be_visible()
    phone.add_from_newest_text()
    expect(phone.points("Ivan Pulling")).to_have_text("50")
    phone.root.locator(".card.chosen .more").click()
    switch = phone.root.get_by_role("switch", name="Automatic Updates")

    switch.click()
    expect(switch).to_have_attribute("aria-checked", "false")
    till.scan("Ivan Pulling")
    till.buy("1000")
    expect(till.result).to_have_text("+50 points. Balance: 100")
    phone.root.get_by_role("button", name="Done").click()
    expect(phone.points("Ivan Pulling")).to_have_text("50")
    phone.root.locator(".card.chosen .more").click()
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "true")
    phone.root.get_by_role("button", name="Done").click()

    expect(phone.points("Ivan Pulling")).to_have_text("100")


def test_the_tab_in_the_deal_redeems_and_the_card_follows(open_page: OpenPage, number, viewport):
    page = open_page("/demo?lang=en")
    phone, _, till = desk(page)
    phone.join("coffee", f"Lida Tab {viewport.name}", number)
    till.scan(f"Lida Tab {viewport.name}")
    page.locator("#deal").click()
    expect(page.locator("#balance")).to_have_text("650")

    with page.context.expect_page() as opened:
        page.locator("#deals li").first.locator("[data-act=tab]").click()
    tab = opened.value
    expect(tab.locator("#balance")).to_have_text("650")
    expect(tab.locator("#to-pay")).to_have_text("RUB12,000")
    tab.locator("#redeem-points").fill("150")
    tab.get_by_role("button", name="Redeem points").click()
    expect(tab.locator("#balance")).to_have_text("500")
    expect(tab.locator("#to-pay")).to_have_text("RUB11,850")

    expect(page.locator("#balance")).to_have_text("500")
