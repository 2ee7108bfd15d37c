"""Places that several share fairly: nobody may hold more than is still left for the others."""

from __future__ import annotations

from typing import Final

TENANT_RATIO: Final = 3
"""Of tenants, which are many credentials: three greedy ones of a tenant leave room for a fourth."""


class Shares:
    """`total` places, taken and given back by holders. Not thread-safe.

    A holder may take more only while it then holds no more than `ratio` times what was free before. So with
    1 one alone gets half of the places, n greedy ones get 1/(n+1) each, and as much stays free for whoever
    comes next: the dynamic thresholds of Choudhury and Hahne (IEEE/ACM Transactions on Networking 6(2),
    1998), where the ratio is called α. With 3 one alone gets three quarters, and n leave 1/(3n+1).

    >>> shares = Shares(4)
    >>> [shares.take("greedy") for _ in range(3)], shares.take("other"), shares.full()
    ([True, True, False], True, False)
    """

    def __init__(self, total: int, ratio: int = 1) -> None:
        self.total: Final = total
        self._ratio: Final = ratio
        self.held = 0
        self._by_holder: dict[str, int] = {}

    def take(self, holder: str, amount: int = 1) -> bool:
        """Take `amount` more; False, and nothing is taken, if that is more than the holder's share."""
        held = self._by_holder.get(holder, 0) + amount
        if held > self._ratio * (self.total - self.held) or self.full(amount):
            return False
        self._by_holder[holder] = held
        self.held += amount
        return True

    def give_back(self, holder: str, amount: int = 1) -> None:
        """Return what was taken."""
        left = self._by_holder[holder] - amount
        if left:
            self._by_holder[holder] = left
        else:
            del self._by_holder[holder]
        self.held -= amount

    def full(self, amount: int = 1) -> bool:
        """Whether `amount` would not fit for anybody."""
        return amount > self.total - self.held


class TenantShares:
    """Places that tenants share, and the holders of each tenant. Not thread-safe.

    A holder may have as much as was free before, a tenant three times as much: so few greedy credentials of
    a tenant leave room for its others, and any number of them for other tenants.

    >>> shares = TenantShares(16)
    >>> sum(shares.take("many", f"device-{number}") for number in range(1000)), shares.take("other", "one")
    (12, True)
    """

    def __init__(self, total: int) -> None:
        self._by_tenant = Shares(total, TENANT_RATIO)
        self._by_holder = Shares(total)

    def take(self, tenant: str, holder: str, amount: int = 1) -> bool:
        """Take `amount` more; False, and nothing is taken, if that is more than either's share."""
        if not self._by_tenant.take(tenant, amount):
            return False
        if self._by_holder.take(holder, amount):
            return True
        self._by_tenant.give_back(tenant, amount)
        return False

    def give_back(self, tenant: str, holder: str, amount: int = 1) -> None:
        """Return what was taken."""
        self._by_tenant.give_back(tenant, amount)
        self._by_holder.give_back(holder, amount)

    def full(self, amount: int = 1) -> bool:
        """Whether `amount` would not fit for anybody."""
        return self._by_tenant.full(amount)
