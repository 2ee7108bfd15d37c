"""What benchmarks of dumps share: sends them to a server, and asks what became of them."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import httpx

from tocsin.testing import Server


@dataclass(slots=True)
class DumpSender:
    """One connection, for one thread."""

    server: Server
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        headers = {"Authorization": f"Bearer {self.server.key}"}
        self.http = httpx.Client(headers=headers, timeout=300, base_url=self.server.url)

    def send(self, device: str, sequence: int, body: bytes, from_ms: int, to_ms: int) -> None:
        """One dump; returns with its answer."""
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        self.http.put(
            f"/v1/devices/{device}/dumps/{sequence}",
            params={"collected_from": str(from_ms), "collected_to": str(to_ms), "application": "cells"},
            content=body,
            headers={"Content-Digest": f"sha-256=:{digest}:"},
        ).raise_for_status()

    def judged(self, device: str) -> int:
        """Up to which number all of its first 200 dumps are; 0 if it has none."""
        answer = self.http.get(f"/v1/devices/{device}/dumps", params={"limit": 200})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return 0
        dumps = answer.raise_for_status().json()["dumps"]
        return max((each["sequence"] for each in dumps if each["state"] == "processed"), default=0)

    def found(self, device: str) -> list[dict[str, Any]]:
        """Its episodes with all that they rest on, without what names the device or a place in the log."""
        kept = []
        for each in self._episodes(device):
            whole = self.http.get(f"/v1/episodes/{each['id']}").raise_for_status().json()
            fields = {
                name: value for name, value in whole.items() if name not in {"id", "device", "evidence"}
            }
            kept.append(fields | {"shown": whole["evidence"]["dumps"]})
        return sorted(kept, key=lambda each: json.dumps(each, sort_keys=True))

    def _episodes(self, device: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        query = {"device": device, "limit": "200"}
        while True:
            page = self.http.get("/v1/episodes", params=query).raise_for_status().json()
            found += page["episodes"]
            if page["next"] is None:
                return found
            query["cursor"] = page["next"]
