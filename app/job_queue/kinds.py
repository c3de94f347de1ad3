"""The kinds of work there are, the arguments each carries, and the order they are taken in."""

PUSH_APPLE = "push_apple"  # pass_id: tell the devices of a pass that it changed
UPDATE_GOOGLE = "update_google"  # pass_id: bring Google's object of a pass to its newest version
SEND_MESSAGE = "send_message"  # message_id: hand an SMS or e-mail to its provider
HANDLE_INBOUND = "handle_inbound"  # event_id: carry out what a source delivered
NIGHTLY = "nightly"  # duty: what the clock asked for, by its name in jobs/nightly.py

# Priorities: the higher first. A single change of a balance never waits for a campaign.
LIVE = 100
MESSAGE = 50
BULK = 0
