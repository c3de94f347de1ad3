"""The types of events there are. Names are for ever: others' programs compare with them."""

EVERY_TYPE = "*"

TYPES = {
    "member.enrolled": "Somebody joined",
    "member.updated": "A member's data changed",
    "member.blocked": "A member may not earn and spend any more",
    "member.unblocked": "A blocked member is back",
    "transaction.posted": "Points were earned, redeemed, adjusted or brought along",
    "transaction.reversed": "An earlier transaction was undone",
    "transaction.expired": "Points passed their date",
    "tier.changed": "An account reached, or fell to, another tier",
    "pass.issued": "A pass was issued",
    "pass.installed": "A phone holds the pass",
    "pass.uninstalled": "A phone no longer holds the pass",
    "pass.updated": "A pass shows something new",
    "pass.push_accepted": "A push service took the push for a pass",
    "pass.push_refused": "A push service did not take it",
    "pass.fetched": "A phone fetched a version of a pass",
    "pass.voided": "A pass was taken out of use",
    "pass.restored": "A voided pass is back in use",
    "message.sent": "A provider took an SMS or e-mail",
    "message.delivered": "A message reached the phone",
    "message.failed": "A message will not reach the phone",
    "campaign.planned": "The plan of a campaign is made",
    "campaign.approved": "Somebody agreed to the plan",
    "campaign.running": "A campaign began, or goes on",
    "campaign.paused": "A campaign is held",
    "campaign.stopped": "A campaign was ended before its time",
    "campaign.done": "Everybody in the plan was told",
    "webhook.test": "Somebody tries out the endpoint",
}
