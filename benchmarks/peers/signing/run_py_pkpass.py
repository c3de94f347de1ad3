"""py-pkpass, as its README uses it, for so many seconds of processor time.

The last pass goes to a file, the count to the caller.
"""

import json
import sys
import time
from pathlib import Path

from py_pkpass.models import Barcode, BarcodeFormat, Pass, StoreCard

folder, seconds, last = Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])
source = json.loads((folder / "files/pass.json").read_bytes())
count, archive, start = 0, b"", time.process_time()
while time.process_time() - start < seconds:
    card = StoreCard()
    for placement in ("header", "primary", "secondary", "auxiliary", "back"):
        for field in source["storeCard"].get(f"{placement}Fields", []):
            add = getattr(card, f"add{placement.capitalize()}Field")
            add(field["key"], str(field["value"]), field.get("label", ""))
    made = Pass(
        card,
        passTypeIdentifier=source["passTypeIdentifier"],
        organizationName=source["organizationName"],
        teamIdentifier=source["teamIdentifier"],
    )
    made.serialNumber = f"serial-{count}"
    made.description = source["description"]
    made.webServiceURL = source["webServiceURL"]
    made.authenticationToken = source["authenticationToken"]
    made.barcode = Barcode(message=f"460{count}", format=BarcodeFormat.QR)
    for path in sorted((folder / "files").rglob("*")):
        if path.is_file() and path.name != "pass.json":
            with path.open("rb") as file:
                made.addFile(path.relative_to(folder / "files").as_posix(), file)
    archive = made.create(
        str(folder / "pass.pem"), str(folder / "pass-key.pem"), str(folder / "wwdr.pem"), ""
    ).getvalue()
    count += 1
elapsed = time.process_time() - start
last.write_bytes(archive)
print(json.dumps({"passes": count, "seconds": elapsed}))
