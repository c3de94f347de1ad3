"""The check for duplicates, at issue and at update: who has this phone already, and what the caller wants."""

PHONE = "+79123456789"


async def add(client, name, **wanted):
    return await client.post("/members", json={"name": name, "phone": PHONE} | wanted)


async def test_a_phone_that_is_known_is_shared_refused_or_kept_apart_as_the_caller_says(client):
    mother = (await add(client, "Anna", card_number="0042", opening_points=100)).json()

    refused = await add(client, "Misha", on_same_phone="refuse")
    shared = (await add(client, "Misha", on_same_phone="share")).json()
    apart = (await add(client, "Olga", on_same_phone="separate")).json()

    assert (refused.status_code, refused.json()["code"]) == (409, "phone_known")
    assert "0042 (Anna)" in refused.json()["detail"]
    assert shared["account_id"] == mother["account_id"]
    assert apart["account_id"] != mother["account_id"]
    assert apart["phone"] == PHONE


async def test_who_is_told_at_an_update_that_the_phone_is_taken_can_share_the_account(client):
    mother = (await add(client, "Anna", opening_points=100)).json()
    child = (await add(client, "Misha", phone="+79123456700", opening_points=20)).json()

    taken = await client.patch(f"/members/{child['id']}", json={"phone": PHONE})
    moves = [
        await client.post(f"/members/{child['id']}/share", json={"account_id": mother["account_id"]})
        for _ in range(2)
    ]
    phone = await client.patch(f"/members/{child['id']}", json={"phone": PHONE})

    assert (taken.status_code, taken.json()["code"]) == (409, "phone_taken")
    assert mother["account_id"] in taken.json()["detail"]
    assert [each.status_code for each in (*moves, phone)] == [200] * 3
    account = (await client.get(f"/accounts/{mother['account_id']}")).json()
    assert account["balance"] == 120
    assert (await client.get(f"/accounts/{child['account_id']}")).json()["balance"] == 0
