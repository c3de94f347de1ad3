"""The marketer on the desk: reads the plan, agrees to it, and both kinds of phones ring."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.desk import DeskPhone, desk

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_a_campaign_is_planned_approved_and_rings_an_iphone_and_an_android_phone(
    open_page: OpenPage, number, viewport
):
    page = open_page("/demo?lang=en")
    iphone, _, till = desk(page)
    android = DeskPhone(page, "three")
    name = f"Lena {viewport.name}"
    iphone.join("coffee", name, number, wants_news=True)
    expect(iphone.banner).to_be_visible()
    iphone.add_from_newest_text()
    expect(iphone.points(name)).to_have_text("50")
    iphone.forward_newest_text(android)
    expect(android.card(name).locator(".g-shown").first).to_have_text("50")
    till.scan(name)
    expect(page.locator("#trace")).to_contain_text("wallet google")  # Google has said that somebody holds it
    rings = (iphone.rings(), android.rings())

    page.locator("#campaign-text").fill(f"Free cocoa for {viewport.name}")
    page.locator("#campaign-points").fill("0")
    page.get_by_role("button", name="Make the plan").click()
    facts = page.locator("#campaign-facts")
    expect(facts).to_contain_text(re.compile(r"members in the plan\d+"))
    expect(iphone.root).to_have_attribute("data-rings", str(rings[0]))  # a plan tells nobody
    page.get_by_role("button", name="Approve and send exactly this").click()

    expect(page.locator("#campaign-result")).to_contain_text(re.compile(r"Sent: \d+ told"))
    expect(iphone.lock_screen().first).to_contain_text(f"Free cocoa for {viewport.name}")
    assert iphone.rings() > rings[0]
    expect(android.root).not_to_have_attribute("data-rings", str(rings[1]))


def test_points_are_given_and_the_plan_says_what_the_lock_screen_will_show(
    open_page: OpenPage, number, viewport
):
    page = open_page("/demo?lang=ru")
    iphone, _, _ = desk(page)
    name = f"Nina {viewport.name}"
    iphone.join("coffee", name, number, wants_news=True)
    expect(iphone.banner).to_be_visible()
    iphone.add_from_newest_text()
    expect(iphone.points(name)).to_have_text("50")

    page.locator("#campaign-text").fill(f"Подарок {viewport.name}")
    page.locator("#campaign-points").fill("7")
    page.get_by_role("button", name="Составить план").click()
    expect(page.locator("#campaign-warnings")).to_contain_text("iPhone покажет новый баланс")
    page.get_by_role("button", name="Утвердить").click()

    expect(page.locator("#campaign-result")).to_contain_text("Отправлено")
    expect(iphone.points(name)).to_have_text("57")
