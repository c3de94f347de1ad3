"""Google's own client library drives the simulator, as it would drive Google."""

import asyncio
import json
from importlib.resources import files

import httplib2
import pytest
from google.oauth2 import service_account
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError
from googleapiclient.http import BatchHttpRequest

from app.simulators.google_wallet import ISSUER_ID, GoogleWalletSimulator, running
from tests.google import CLASS_ID, EMAIL, OBJECT_ID, account_info, class_body, key_pair, object_body

SCOPES = ["https://www.googleapis.com/auth/wallet_object.issuer"]


def service_at(url):
    credentials = service_account.Credentials.from_service_account_info(account_info(url), scopes=SCOPES)
    documents = files("googleapiclient.discovery_cache.documents")
    document = json.loads((documents / "walletobjects.v1.json").read_text("utf-8"))
    document |= {"rootUrl": f"{url}/", "baseUrl": f"{url}/"}
    http = AuthorizedHttp(credentials, http=httplib2.Http(timeout=10))
    return build_from_document(document, http=http), http


def drive(url):
    """Everything a small integration does, in the calls Google's samples make."""
    service, http = service_at(url)
    classes, objects = service.loyaltyclass(), service.loyaltyobject()
    classes.insert(body=class_body()).execute()
    objects.insert(body=object_body(10)).execute()
    with pytest.raises(HttpError) as twice:
        objects.insert(body=object_body(10)).execute()
    objects.patch(resourceId=OBJECT_ID, body={"loyaltyPoints": {"balance": {"int": 12}}}).execute()
    objects.update(resourceId=OBJECT_ID, body=object_body(15)).execute()
    objects.addmessage(resourceId=OBJECT_ID, body={"message": {"header": "Hi", "body": "News"}}).execute()

    answers = {}
    batch = BatchHttpRequest(
        callback=lambda request_id, answer, error: answers.update({request_id: answer or error}),
        batch_uri=f"{url}/batch",
    )
    for number in range(3):
        batch.add(
            objects.insert(body=object_body(number, id=f"{ISSUER_ID}.batch-{number}")), request_id=str(number)
        )
    batch.add(objects.get(resourceId=f"{ISSUER_ID}.nowhere"), request_id="nowhere")
    batch.execute(http=http)

    listed = objects.list(classId=CLASS_ID).execute()
    card = objects.get(resourceId=OBJECT_ID).execute()
    service.close()
    return card, twice.value.resp.status, answers, listed


async def test_googles_client_inserts_changes_lists_and_batches():
    simulator = GoogleWalletSimulator({EMAIL: key_pair().public})
    async with running(simulator) as url:
        card, twice, answers, listed = await asyncio.to_thread(drive, url)

    assert card["loyaltyPoints"]["balance"] == {"int": 15}
    assert [each["header"] for each in card["messages"]] == ["Hi"]
    assert twice == 409
    assert [answers[str(number)]["id"] for number in range(3)] == [
        f"{ISSUER_ID}.batch-{number}" for number in range(3)
    ]
    assert answers["nowhere"].resp.status == 404
    assert len(listed["resources"]) == 4
    assert simulator.tokens.issued == 1
