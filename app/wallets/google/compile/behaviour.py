"""State, validity, places, callbacks, Smart Tap, grouping, constraints: what a pass may do and when."""

from collections.abc import Sequence

from app.wallets.google.compile.modules import interval
from app.wallets.google.compile.shown import Json, Shown, given

LOCATIONS_MAX = 10  # Google refuses the eleventh
LINKED_MAX = 50  # and passes over the fifty-first without a word


def class_behaviour(shown: Shown, callback_url: str) -> Json:
    """What holds for every pass of the class."""
    google = shown.template.definition.google
    tap = google.smart_tap
    return given(
        merchantLocations=_locations(shown),
        callbackOptions=given(url=callback_url),
        enableSmartTap=True if tap else None,
        redemptionIssuers=list(tap.redemption_issuers) if tap else [],
        multipleDevicesAndHoldersAllowedStatus=google.holders.upper(),
        viewUnlockRequirement="UNLOCK_REQUIRED_TO_VIEW" if google.unlock_to_view else "",
        securityAnimation={"animationType": "FOIL_SHIMMER"} if google.shimmer else {},
    )


def object_behaviour(shown: Shown, linked_ids: Sequence[str]) -> Json:
    """What holds for one pass. `linked_ids` are object ids that Google puts beside it."""
    definition = shown.template.definition
    google = definition.google
    group = shown.text(definition.grouping)
    return given(
        state="INACTIVE" if shown.content.voided else "ACTIVE",
        validTimeInterval=interval("", shown.moment(shown.content.expires_at)),
        merchantLocations=_locations(
            shown
        ),  # on the object too: on the class alone they were seen to stay silent
        smartTapRedemptionValue=shown.text(google.smart_tap.value) if google.smart_tap else "",
        groupingInfo=given(groupingId=group, sortIndex=google.sort_index) if group else {},
        linkedObjectIds=list(linked_ids[:LINKED_MAX]),
        passConstraints=given(
            screenshotEligibility="" if google.screenshots else "INELIGIBLE",
            nfcConstraint=[each.upper() for each in google.nfc_blocks],
        ),
    )


def _locations(shown: Shown) -> list[Json]:
    places = shown.template.definition.locations[:LOCATIONS_MAX]
    return [{"latitude": each.latitude, "longitude": each.longitude} for each in places]
