"""Which device's turn is next: round and round the tenants, and of each round and round its devices."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Container
from typing import Final

from tocsin.commit.dump_steps import DumpStepStore

DeviceKey = tuple[str, str]
"""Tenant and device."""

_PAGE: Final = 64
_LOOKS_MAX: Final = 4_096
_TENANTS_MAX: Final = 1_000


class Picking:
    """Reads ready dumps by device, a page at a time. For one thread.

    Holds names of at most 64 devices a tenant, of the thousand tenants asked last.
    """

    def __init__(self, steps: DumpStepStore) -> None:
        self._steps: Final = steps
        self._tenant = ""
        self._reached: OrderedDict[str, str] = OrderedDict()
        self._pages: dict[str, deque[str]] = {}

    def next(self, busy: Container[DeviceKey]) -> DeviceKey | None:
        """A device with a ready dump that is not `busy`; None after a look at a few thousand without."""
        first: str | None = None
        for _ in range(_LOOKS_MAX):
            tenant = self._next_tenant()
            if tenant is None:
                return None
            if tenant == first:
                return None
            first = first or tenant
            device = self._next_device(tenant, busy)
            if device is not None:
                return tenant, device
        return None

    def _next_tenant(self) -> str | None:
        tenant = self._steps.next_tenant(self._tenant)
        if tenant is None and self._tenant:
            tenant = self._steps.next_tenant("")
        self._tenant = tenant or ""
        return tenant

    def _next_device(self, tenant: str, busy: Container[DeviceKey]) -> str | None:
        """The next one in a round of the tenant's devices; None after a whole round of busy ones."""
        begun_anew = False
        while True:
            page = self._pages.setdefault(tenant, deque())
            while page:
                device = page.popleft()
                self._remember(tenant, device)
                if (tenant, device) not in busy:
                    return device
            after = self._reached.get(tenant, "")
            found = self._steps.devices(tenant, after, limit=_PAGE)
            page.extend(found)
            if found:
                continue
            if begun_anew:
                return None
            begun_anew = True
            self._reached.pop(tenant, None)

    def _remember(self, tenant: str, device: str) -> None:
        self._reached[tenant] = device
        self._reached.move_to_end(tenant)
        while len(self._reached) > _TENANTS_MAX:
            oldest, _ = self._reached.popitem(last=False)
            self._pages.pop(oldest, None)
