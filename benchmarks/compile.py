"""Passes compiled per second on one core: a template and a member's content to pass.json, not yet signed.

Prints one JSON line. Every pass has its own balance, name and card number. Seconds are of processor time,
so that neighbours on the machine count for little.

    python -m benchmarks.compile [--seconds 2]
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path

from app.wallets.apple.compile import compile_pass
from app.wallets.content import PassContent, PassIdentity
from app.wallets.templates import PassTemplate, load_templates

TEMPLATES = Path(__file__).parents[1] / "pass_templates"
CHUNK = 1000
IDENTITY = PassIdentity(
    pass_type_identifier="pass.com.example.benchmark",
    team_identifier="ABCDE12345",
    serial_number="benchmark",
    authentication_token="0123456789abcdef",
    web_service_url="https://example.com/apple",
)


def contents(template: PassTemplate) -> list[PassContent]:
    """A chunk of members in the template's languages by turns."""
    samples = list(template.samples.values())
    return [
        replace(
            sample,
            values={
                **sample.values,
                "points": number * 37,
                "member_name": f"Member {number}",
                "card_number": str(number),
            },
            barcode=str(4600_0000_0000 + number),
        )
        for number in range(CHUNK)
        for sample in [samples[number % len(samples)]]
    ]


def measured(template: PassTemplate, seconds: float) -> dict[str, float]:
    """Median microseconds a pass over chunks of a thousand, and passes a second."""
    members = contents(template)
    for member in members:
        compile_pass(template, member, IDENTITY)
    chunks: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.process_time()
        for member in members:
            compile_pass(template, member, IDENTITY)
        chunks.append((time.process_time() - started) / CHUNK)
    median = statistics.median(chunks)
    return {"us": round(median * 1e6, 1), "per_second": round(1 / median)}


def main() -> None:
    """Measure each shipped template for a while."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each template")
    seconds = parser.parse_args().seconds
    results = {name: measured(template, seconds) for name, template in load_templates(TEMPLATES).items()}
    print(json.dumps({"benchmark": "compile", "unit": "passes", **results}))


if __name__ == "__main__":
    main()
