"""Queues, threads and places that tenants share: one that wants all of them keeps no other waiting."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.access.device_scope import DeviceScope
from tocsin.access.principal import Principal
from tocsin.access.shares import TenantShares
from tocsin.fairness import FairQueue, TenantQueue
from tocsin.log.abstract import Append, Part, RecordKind
from tocsin.log.group_commit import SHARED_GROUP_BYTES, GroupQueue
from tocsin.services.fair_pool import FairPool

COST_MAX = 9
STEPS = st.lists(
    st.one_of(
        st.none(),
        st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(1, COST_MAX)),
    ),
    max_size=200,
)


def principal(tenant: str, key_id: str = "k") -> Principal:
    return Principal(tenant, frozenset(), key_id, key_id, DeviceScope((), (), everything=True))


@given(STEPS)
def test_all_comes_out_once_and_each_holders_in_order(steps: list[tuple[str, str, int] | None]) -> None:
    """Whatever is put and taken in between: nothing is lost, repeated or overtaken by its own holder."""
    queue, expected = TenantQueue[int](), dict[tuple[str, str], deque[int]]()
    where = dict[int, tuple[str, str]]()
    for number, step in enumerate([*steps, *[None] * len(steps)]):
        if step is not None:
            tenant, holder, cost = step
            queue.put(tenant, holder, cost, number)
            expected.setdefault((tenant, holder), deque()).append(number)
            where[number] = (tenant, holder)
        elif (found := queue.take()) is not None:
            tenant, taken = found
            assert where[taken][0] == tenant
            assert expected[where[taken]].popleft() == taken
    assert not len(queue)
    assert not any(expected.values())


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, COST_MAX)), min_size=1, max_size=200))
def test_whoever_waits_is_served_as_much_as_any_other(items: list[tuple[str, int]]) -> None:
    """While two holders wait, what each was served differs by no more than an item of each."""
    queue = FairQueue[tuple[str, int]]()
    left = Counter[str]()
    for holder, cost in items:
        queue.put(holder, cost, (holder, cost))
        left[holder] += 1
    served = Counter[str]()
    while (taken := queue.take()) is not None:
        served[taken[0]] += taken[1]
        left[taken[0]] -= 1
        waiting = [served[holder] for holder in left if left[holder]]
        assert not waiting or max(waiting) - min(waiting) <= 2 * COST_MAX


def test_who_comes_anew_is_next() -> None:
    """A thousand items of one holder that came before cost a newcomer none of his time."""
    queue = TenantQueue[str]()
    for number in range(1000):
        queue.put("greedy", f"device-{number}", 1, "greedy")
    for _ in range(100):
        queue.take()
    queue.put("modest", "k", 1, "modest")
    assert ("modest", "modest") in [queue.take(), queue.take()]


def test_who_comes_one_by_one_pays_for_what_it_had() -> None:
    """Ten times the cost is a tenth of the turns, also for a holder of whom never more than one waits."""
    queue = FairQueue[str]()
    for _ in range(40):
        queue.put("steady", 1, "steady")
    queue.put("large", 10, "large")
    taken = list[str | None]()
    for _ in range(22):
        taken.append(queue.take())
        if taken[-1] == "large":
            queue.put("large", 10, "large")
    assert taken.count("large") in {2, 3}


def test_threads_that_one_tenant_keeps_busy_leave_one_for_others() -> None:
    """With as much work of one tenant as there is, another's is done at once; in the end all is done."""
    pool, may_end, busy = FairPool(2, "test"), threading.Event(), threading.Semaphore(0)

    def work() -> bool:
        busy.release()
        return may_end.wait(60)

    greedy = [pool.submit(principal("greedy", f"k{number}"), 1, work) for number in range(20)]
    for _ in range(2):
        assert busy.acquire(timeout=60)
    assert pool.submit(principal("modest"), 1, lambda: "done").result(60) == "done"
    assert not any(future.done() for future in greedy)
    may_end.set()
    assert all(future.result(60) for future in greedy)
    pool.shutdown()


def test_all_keys_of_a_person_have_one_turn() -> None:
    """However many somebody has, the next one of the tenant waits for one piece of work."""
    pool, begun, may_end = FairPool(1, "test"), threading.Event(), threading.Event()
    done: list[str] = []

    def first() -> bool:
        begun.set()
        return may_end.wait(60)

    waiting: list[Any] = [pool.submit(principal("t", "busy"), 1, first)]
    assert begun.wait(60)
    keys = [replace(principal("t", f"k{number}"), person="anna") for number in range(5)]
    waiting += [pool.submit(key, 1, partial(done.append, "anna")) for key in keys]
    waiting.append(pool.submit(principal("t", "other"), 1, partial(done.append, "other")))
    may_end.set()
    for future in waiting:
        future.result(60)
    pool.shutdown()
    assert done.index("other") <= 1


def test_a_failure_is_told_to_whoever_waits_for_the_work() -> None:
    """And the thread goes on with what is next."""
    pool = FairPool(1, "test")
    failing = pool.submit(principal("a"), 1, lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        failing.result(60)
    assert pool.submit(principal("a"), 1, lambda: 2).result(60) == 2
    pool.shutdown()


def test_many_credentials_of_a_tenant_leave_room_for_other_tenants() -> None:
    """A tenant's devices that all come back at once get three quarters of the places, one credential half."""
    shares = TenantShares(256)
    assert sum(shares.take("fleet", f"device-{number}") for number in range(10_000)) == 192
    assert all(shares.take("other", "gateway") for _ in range(32))
    alone = TenantShares(256)
    assert sum(alone.take("fleet", "gateway") for _ in range(10_000)) == 128
    assert alone.take("fleet", "another")
    for _ in range(128):
        alone.give_back("fleet", "gateway")
    alone.give_back("fleet", "another")
    assert alone.take("fleet", "one", 128)


def append(tenant: str, size_bytes: int) -> Append:
    return Append(tenant=tenant, arrival_ms=0, parts=[Part(0, RecordKind.EVENTS, 1, bytes(size_bytes))])


def test_groups_are_small_and_fair_while_tenants_share_the_log() -> None:
    """One tenant alone fills whole groups; when another comes, it is in the next one, and that is small."""
    queue = GroupQueue(64 << 20, 8 << 20)
    for _ in range(20):
        queue.put(append("greedy", 100_000))
    assert len(queue.take()) == 20
    for _ in range(20):
        queue.put(append("greedy", 100_000))
    queue.put(append("modest", 100))
    group = queue.take()
    assert "modest" in [pending.append.tenant for pending in group]
    assert sum(pending.size_bytes for pending in group) <= SHARED_GROUP_BYTES
    left = 21 - len(group)
    while left:
        left -= len(queue.take())
    assert queue.bytes == 0
    queue.close()
    assert queue.take() == []
