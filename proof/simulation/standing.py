"""Where devices stand and what they run, by the third party and by what they sent: who is of which window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proof.model import Expected
from proof.model.windows import Asked
from proof.simulation.lives import Lives
from proof.simulation.plan import TENANT
from proof.simulation.window_checks import will_hold
from tocsin.control import MaintenanceSet
from tocsin.log.abstract import Record, RecordKind
from tocsin.payloads import decode_events
from tocsin.services.maintenance_window import Covers, MaintenanceWindow


class Standing:
    """`places` has by device each that it ever stood at, `ran` each application that it ever ran."""

    def __init__(self, lives: Lives, records: Sequence[Record], model: Expected) -> None:
        party = lives.third_party
        self._places: Final = {} if party is None else party.mapping.stood
        self._ran: Final = dict[str, set[str]]()
        self._runs: Final = {
            device: name for (tenant, device), name in model.runs.items() if tenant == TENANT
        }
        for record in records:
            if record.kind is RecordKind.EVENTS and record.tenant == TENANT:
                batch = decode_events(record.payload)
                for device, stream in zip(batch.device.tolist(), batch.stream.tolist(), strict=True):
                    self._ran.setdefault(device, set()).add(batch.streams[stream][0])

    def is_of(self, device: str, window: MaintenanceWindow) -> bool:
        """Whether a device is of a window now."""
        name = window.wanted.name
        match window.wanted.covers:
            case Covers.DEVICE:
                return device == name
            case Covers.LOCATION:
                return self._places.get(device, [""])[-1] == name
            case Covers.APPLICATION:
                return self._runs.get(device) == name

    def otherwise(self, record: MaintenanceSet, window: MaintenanceWindow, asked: Asked | None) -> str:
        """What is wrong with the devices of a record, in words: one was never of it, or always."""
        name = window.wanted.name
        ended = record.revision == window.revision and window.ended_ms is not None
        leaves = not record.spans and not ended
        for device in record.devices:
            known = self._known(device, window.wanted.covers)
            if name not in known:
                return f"{device} was never of {name}"
            if leaves and known == {name} and asked is not None and will_hold(asked, record.effective_ms):
                return f"{device} was always of {name}, and leaves it"
        return ""

    def _known(self, device: str, covers: Covers) -> set[str]:
        """All by which a window that covers such may ever have named the device."""
        match covers:
            case Covers.DEVICE:
                return {device}
            case Covers.LOCATION:
                return set(self._places.get(device, []))
            case Covers.APPLICATION:
                return self._ran.get(device, set())
