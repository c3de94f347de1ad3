"""The kinds of work and the order they are taken in."""

PUSH_APPLE = "push_apple"  # args: pass_id
SEND_MESSAGE = "send_message"  # args: message_id

# Priorities: the higher first. A single change of a balance never waits for a campaign.
LIVE = 100
MESSAGE = 50
BULK = 0
