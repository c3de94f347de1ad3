"""What makes a pass an event, flight or transit ticket: read from the template's semantic tags."""

from app.wallets.google.compile.cards import issuer_name, logo, title, wide_logo
from app.wallets.google.compile.semantics import Semantics
from app.wallets.google.compile.shown import Json, Shown, given

_TRANSIT = {"bus": "BUS", "train": "RAIL", "boat": "FERRY"}


def event_class(shown: Shown) -> Json:
    tags = Semantics(shown)
    venue = given(
        name=tags.localized("venueName"),
        address=tags.localized("venueRegionName", "venueRoom", "venueName"),
    )
    return {
        "eventName": tags.localized("eventName") or shown.localized(title(shown)),
        "logo": logo(shown),
        **wide_logo(shown, "wideLogo"),
        **given(
            venue=venue,
            dateTime=given(
                start=tags.moment("eventStartDate"),
                end=tags.moment("eventEndDate"),
                doorsOpen=tags.moment("venueDoorsOpenDate", "venueGatesOpenDate"),
            ),
        ),
    }


def event_object(shown: Shown) -> Json:
    tags = Semantics(shown)
    seat = tags.first("seats")
    return given(
        ticketHolderName=tags.text("attendeeName") or shown.text("{{ member_name }}"),
        ticketNumber=shown.content.barcode,
        reservationInfo=given(confirmationCode=tags.text("confirmationNumber")),
        ticketType=tags.localized("admissionLevel", "admissionLevelAbbreviation"),
        seatInfo=given(
            seat=seat.localized("seatNumber", "seatIdentifier"),
            row=seat.localized("seatRow"),
            section=seat.localized("seatSection"),
            gate=tags.localized("venueEntrance", "venueEntranceGate", "venueEntranceDoor"),
        ),
    )


def flight_class(shown: Shown) -> Json:
    tags = Semantics(shown)
    departure, arrival = "departureAirportTimeZone", "destinationAirportTimeZone"
    return given(
        flightHeader=given(
            carrier=given(carrierIataCode=tags.text("airlineCode")), flightNumber=tags.text("flightNumber")
        ),
        origin=_airport(tags, "departure"),
        destination=_airport(tags, "destination"),
        localScheduledDepartureDateTime=tags.local("originalDepartureDate", zone_key=departure),
        localEstimatedOrActualDepartureDateTime=tags.local("currentDepartureDate", zone_key=departure),
        localBoardingDateTime=tags.local("currentBoardingDate", "originalBoardingDate", zone_key=departure),
        localScheduledArrivalDateTime=tags.local("originalArrivalDate", zone_key=arrival),
        localEstimatedOrActualArrivalDateTime=tags.local("currentArrivalDate", zone_key=arrival),
    )


def _airport(tags: Semantics, end: str) -> Json:
    return given(
        airportIataCode=tags.text(f"{end}AirportCode"),
        terminal=tags.text(f"{end}Terminal"),
        gate=tags.text(f"{end}Gate"),
        airportNameOverride=tags.localized(f"{end}LocationDescription"),
    )


def flight_object(shown: Shown) -> Json:
    tags = Semantics(shown)
    return given(
        passengerName=tags.person("passengerName"),
        reservationInfo=given(confirmationCode=tags.text("confirmationNumber")) or {"confirmationCode": ""},
        boardingAndSeatingInfo=given(
            boardingGroup=tags.text("boardingGroup", "boardingZone"),
            seatNumber=tags.first("seats").text("seatNumber", "seatIdentifier"),
            seatClass=tags.first("seats").text("seatType"),
            sequenceNumber=tags.text("boardingSequenceNumber"),
        ),
    )


def transit_class(shown: Shown) -> Json:
    definition = shown.template.definition
    return {
        "transitType": _TRANSIT.get(definition.transit or "", "OTHER"),
        "logo": logo(shown),
        "transitOperatorName": shown.localized(issuer_name(shown)),
        **wide_logo(shown, "wideLogo"),
    }


def transit_object(shown: Shown) -> Json:
    tags = Semantics(shown)
    seat = tags.first("seats")
    return given(
        tripType=shown.template.definition.google.trip_type.upper(),
        passengerType="SINGLE_PASSENGER",
        passengerNames=tags.person("passengerName"),
        ticketNumber=shown.content.barcode,
        purchaseDetails=given(confirmationCode=tags.text("confirmationNumber")),
        ticketLeg=given(
            originName=tags.localized("departureStationName", "departureLocationDescription"),
            destinationName=tags.localized("destinationStationName", "destinationLocationDescription"),
            departureDateTime=tags.moment("currentDepartureDate", "originalDepartureDate"),
            arrivalDateTime=tags.moment("currentArrivalDate", "originalArrivalDate"),
            carriage=tags.text("vehicleName", "vehicleNumber"),
            platform=tags.text("departurePlatform"),
            ticketSeat=given(coach=tags.text("carNumber"), seat=seat.text("seatNumber", "seatIdentifier")),
        ),
    )
