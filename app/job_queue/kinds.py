"""The kinds of work there are, the arguments each carries, and the order they are taken in."""

PUSH_APPLE = "push_apple"  # pass_id: tell the devices of a pass that it changed
PUSH_APPLE_CHUNK = "push_apple_chunk"  # pass_ids, joined by commas: the same for what a campaign changed
UPDATE_GOOGLE = "update_google"  # pass_id: bring Google's object of a pass to its newest version
UPDATE_GOOGLE_BULK = "update_google_bulk"  # the same for a campaign: it has seats of its own to wait in
PUSH_WEB = "push_web"  # pass_id: tell the browsers that keep the web card of a pass
CLASS_MESSAGE = "class_message"  # message_id: tell everybody who holds a pass of a class at Google
CHECK_GOOGLE = "check_google"  # pass_id: ask Google whether anybody holds it
SEND_MESSAGE = "send_message"  # message_id: hand an SMS or e-mail to its provider
SEND_WEBHOOK = "send_webhook"  # delivery_id: try one delivery to an endpoint
HANDLE_INBOUND = "handle_inbound"  # event_id: carry out what a source delivered
BITRIX24_FOLLOW = "bitrix24_follow"  # event_id: tell the portal what became of its delivery
BITRIX24_READ = "bitrix24_read"  # source_id, deal_id: read a deal that somebody looks at
BITRIX24_TELL = "bitrix24_tell"  # source_id, deal_id, entry_id: a line of points in a deal's story
BITRIX24_SHOW = "bitrix24_show"  # source_id: bring the contacts' fields up to date
BITRIX24_REPORT_TEXT = "bitrix24_report_text"  # source_id, text_id: what became of a text
BITRIX24_SET_UP = "bitrix24_set_up"  # source_id: robots, provider, tab, fields
BITRIX24_POLL = "bitrix24_poll"  # source_id: what did lost webhooks miss?
BITRIX24_RECONCILE = "bitrix24_reconcile"  # source_id: the night's comparison
PLAN_CAMPAIGN = "plan_campaign"  # campaign_id, step, by: freeze what it would do
RUN_CAMPAIGN = "run_campaign"  # campaign_id, step: tell the next chunk of its recipients
FOLLOW_CAMPAIGN = "follow_campaign"  # campaign_id: tell those who have not done it yet
FIRE_RULE = "fire_rule"  # rule_id: start a campaign to those whose time it is
NIGHTLY = "nightly"  # duty: what the clock asked for, by its name in jobs/nightly.py

# Priorities: the higher first. A single change of a balance never waits for a campaign.
LIVE = 100
MESSAGE = 50
WEBHOOK = 40
BULK = 0
