"""Runs a plan: boots the system, sends, breaks, boots again, and at last looks at what is left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from proof.simulation.checks import Checks
from proof.simulation.clients import Senders
from proof.simulation.lives import HopelessError, Lives
from proof.simulation.maintainers import Maintainers
from proof.simulation.node import Node
from proof.simulation.people import People
from proof.simulation.plan import TENANT, Body, CrashPlan, Network, Plan, Quarantining
from proof.simulation.scheduler import Stuck
from proof.simulation.settings import LOOK_S
from proof.simulation.uploaders import Uploaders
from tocsin.access.credential import CredentialKind, NewCredential
from tocsin.access.principal import Role

PATIENCE_S: Final = 4000.0
ROUND_S: Final = 130.0
"""Within which windows that a crash has left are logged, and who came to a place joins them."""


class World:
    """One simulation; `run` plays the plan to its end and looks at what is left."""

    def __init__(self, plan: Plan, place: Path) -> None:
        self.plan: Final = plan
        self.lives: Final = Lives(plan, place)
        self.senders: Final = Senders(self.lives)
        self.uploaders: Final = Uploaders(self.lives, self.senders)
        self.people: Final = People(self.lives, self.senders)
        self.maintainers: Final = Maintainers(self.lives, self.senders)
        self.checks: Final = Checks(self.lives, self.senders, self.uploaders, self.people, self.maintainers)
        self._armed: CrashPlan | None = None
        self._down_s = 1.0
        self._operator = self.lives.scheduler.spawn("operator", self.lives.outside, self._operate)
        self.lives.watchers.append(self._operator)

    def run(self) -> None:
        """What is found goes to `lives.findings`."""
        findings = self.lives.findings
        try:
            self.lives.scheduler.run(lambda: self._operator.ended)
        except Stuck as stuck:
            findings.add("stuck", str(stuck))
        error = self._operator.error
        if error is not None and not isinstance(error, HopelessError):
            findings.add_error("simulator", error)
        self.lives.close()

    def _operate(self) -> None:
        lives = self.lives
        lives.boot()
        lives.in_node("set-up", self._set_up)
        begin_s = [*(body.at_s for body in self.plan.past), 0.0]
        for body, until_s in zip(self.plan.past, begin_s[1:], strict=True):
            self._live_once(body, until_s)
        lives.wire.chances = self.plan.network
        lives.disk.faults, lives.disk.sync_s = list(self.plan.disk), self.plan.sync_s
        self.senders.start()
        self.uploaders.start()
        self.people.start()
        self.maintainers.start()
        if lives.third_party is not None:
            lives.scheduler.spawn("third-party", lives.outside, lives.third_party.move)
        for crash in self.plan.crashes:
            self._await_crash(crash)
        self._wait_until(self.plan.ends_s)
        self._finish()

    def _live_once(self, body: Body, until_s: float) -> None:
        """Send what came long ago, have it made a dump, and stop; the next life begins at `until_s`."""
        lives = self.lives
        self.senders.send_now(body)
        self._wait_until(lives.scheduler.now_s + _windows_s(self.plan))
        self._settle()
        lives.in_node("stop", Node.stop)
        lives.die("stop")
        lives.scheduler.sleep(until_s - lives.scheduler.now_s)
        lives.boot()

    def _await_crash(self, crash: CrashPlan) -> None:
        """Let it come: at an operation of the disk, or at a time. The next process starts here."""
        disk, ends_s = self.lives.disk, self.plan.ends_s
        if self.lives.scheduler.now_s >= ends_s:
            return
        self._armed = crash
        disk.crash.left, disk.crash.then = crash.operations, self._crash
        self._wait_until(
            ends_s if crash.at_s is None else min(crash.at_s, ends_s), lambda: self._armed is None
        )
        if self._armed is not None and crash.at_s is not None:
            self._crash()
        disk.crash.left, self._armed = None, None

    def _crash(self) -> None:
        """It is time for the crash that is armed; called by any thread."""
        lives, crash, self._armed = self.lives, self._armed, None
        if crash is None:
            return
        lives.machine.jump(crash.jump_ms)
        if crash.jump_ms:
            lives.trace.fault("clock-jump")
        if crash.settings != lives.settings:
            lives.trace.fault("settings-changed")
        lives.settings, self._down_s = crash.settings, crash.down_s
        if crash.kind == "stop":
            lives.scheduler.spawn("stopper", lives.outside, self._stop)
        else:
            lives.die(crash.kind)

    def _stop(self) -> None:
        node = self.lives.node
        if node is not None and node.server is not None:
            self.lives.in_node("stop", Node.stop)
            if self.lives.node is node:  # also when it failed: then its error is looked at
                self.lives.die("stop")

    def _wait_until(self, until_s: float, ready: Callable[[], bool] = lambda: False) -> None:
        """Wait, and start the system again whenever it has died."""
        scheduler = self.lives.scheduler
        while not ready() and scheduler.now_s < until_s:
            if self.lives.is_alive():
                scheduler.park(until_s - scheduler.now_s)
            else:
                down_s, self._down_s = self._down_s, 1.0
                scheduler.sleep(down_s)
                self.lives.boot()

    def _set_up(self, node: Node) -> None:
        access = node.running().access
        if TENANT not in access.tenants():
            access.create_tenant(TENANT, created_by="test")
        gateway = NewCredential(tenant=TENANT, kind=CredentialKind.GATEWAY, name="fleet", all_devices=True)
        person = NewCredential(
            tenant=TENANT, kind=CredentialKind.API_KEY, name="person", roles=(Role.ADMIN, Role.OPERATOR)
        )
        self.senders.tokens["gateway"] = access.create(gateway, created_by="simulation")[1]
        self.senders.tokens["person"] = access.create(person, created_by="simulation")[1]

    def _finish(self) -> None:
        """Faults are over: let everybody come to an end, look, cut the power, look again."""
        lives = self.lives
        lives.disk.faults, lives.wire.chances, lives.workshop.calm = [], Network(), True
        lives.disk.cut.left, lives.disk.sync_s = None, 0.0
        if lives.third_party is not None:
            lives.third_party.calm()
        limit_s = lives.scheduler.now_s + PATIENCE_S
        while (lives.wire.echoes or not self.senders.finished()) and lives.scheduler.now_s < limit_s:
            self._wait_until(lives.scheduler.now_s + 10)
        if not self.senders.finished():
            lives.findings.add("senders", f"bodies not served: {self.senders.unserved()}")
        if self.uploaders.unserved():
            lives.findings.add("uploaders", f"dumps not served: {self.uploaders.unserved()}")
        if self.people.unserved():
            lives.findings.add("people", f"actions not answered: {self.people.unserved()}")
        if self.maintainers.unserved():
            lives.findings.add("people", f"windows not answered: {self.maintainers.unserved()}")
        if self.plan.log_devices:
            self._wait_until(lives.scheduler.now_s + _windows_s(self.plan))
        self._settle()
        if self.plan.dumps or self.plan.log_devices:
            self._release()
            self._settle()
        self._look(self.checks.remember)
        lives.die("power")
        self._settle()
        self.senders.ask_all_again()
        self.uploaders.ask_all_again()
        self.people.ask_all_again()
        self.maintainers.ask_all_again()
        self._agree()
        if self.plan.windows:
            of_lines = any(each.covers == "application" for each in self.plan.windows)
            self._wait_until(lives.scheduler.now_s + ROUND_S + LOOK_S * of_lines)
        self._settle()
        self._look(self.checks.check)

    def _release(self) -> None:
        """Whatever a detector stumbled over is mended: it goes on with every device."""
        for device in sorted({*self.plan.log_devices, *(dump.device for dump in self.plan.dumps)}):
            now_s = self.lives.scheduler.now_s
            self.senders.quarantine(Quarantining(at_s=now_s, device=device, released=True))

    def _look(self, look: Callable[[Node], None]) -> None:
        if not self.lives.in_node("check", look):
            self.lives.findings.add("check", "it could not be looked at")

    def _agree(self) -> None:
        """Wait until the mapping is that of the third party; what is left of a difference is found then."""
        limit_s = self.lives.scheduler.now_s + PATIENCE_S
        agreed: list[bool] = []
        while not agreed and self.lives.scheduler.now_s < limit_s:
            self.lives.in_node(
                "agree", lambda node: agreed.append(True) if self.checks.agrees(node) else None
            )
            if not agreed:
                self._wait_until(self.lives.scheduler.now_s + 30)

    def _settle(self) -> None:
        """Wait until all is processed, folded and corrected."""
        limit_s = self.lives.scheduler.now_s + PATIENCE_S
        quiet: list[bool] = []
        while not quiet and self.lives.scheduler.now_s < limit_s:
            self._wait_until(self.lives.scheduler.now_s + 5)
            self.lives.in_node("quiet", lambda node: quiet.append(True) if _is_quiet(node) else None)
        if not quiet:
            self.lives.findings.add("settle", "it did not catch up")


def _windows_s(plan: Plan) -> float:
    """How long after the last line every window has ended."""
    return plan.window_s + plan.quiet_s + 2 * plan.tick_s + 10.0


def _is_quiet(node: Node) -> bool:
    """Everything acknowledged is processed and folded, and no correction is due."""
    runtime = node.running().runtime
    if not runtime.caught_up():
        return False
    states = [state for worker in runtime.workers for state in worker.state.tenants.values()]
    return not any(state.dirty_devices() for state in states)
