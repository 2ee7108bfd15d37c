"""Dictionaries of templates: taking one over for an application, and teaching it what is to be expected."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from tocsin import threads
from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.blobs.abstract import BlobStore
from tocsin.clock import Clock
from tocsin.commit.abstract import CommitStore
from tocsin.control import DictionaryTaken, encode_control
from tocsin.errors import InvalidInputError
from tocsin.inbox.abstract import Anomaly
from tocsin.inbox.action import ActionKind, Target
from tocsin.log.abstract import Append, Log, Part, RecordKind
from tocsin.services.actions import NOTE_CHARACTERS_MAX, Actions, Asked
from tocsin.services.anomalies import Anomalies
from tocsin.services.audit import AuditTrail
from tocsin.templates.dictionary import Dictionary, dictionary_of, parse_dictionary

TEMPLATES_MAX: Final = 5_000
TEMPLATE_CHARACTERS_MAX: Final = 2_000
APPLICATIONS_MAX: Final = 1_000
NAME_CHARACTERS_MAX: Final = 256
_REASON: Final = "new_template"
"""The code of findings whose evidence names a `template`: `logs` has it, and other detectors may."""


class InForce(Protocol):
    """Knows which dictionaries were taken over, processed or not; the runtime offers it."""

    def dictionaries(self, tenant: str) -> dict[str, str]:
        """By application, the SHA-256 of the newest one in the log."""
        ...


class TakenOver(msgspec.Struct, frozen=True, kw_only=True):
    """What is in force for an application after a decision, and what that added and took away."""

    application: str
    dictionary: Dictionary
    new: tuple[str, ...]
    vanished: tuple[str, ...]


class Dictionaries:
    """One decision at a time, each a record of every partition, so that a replay sees it in its place."""

    def __init__(
        self,
        log: Log,
        blobs: BlobStore,
        in_force: InForce,
        anomalies: Anomalies,
        commits: CommitStore,
        actions: Actions,
        audit: AuditTrail,
        clock: Clock,
    ) -> None:
        self._log: Final = log
        self._blobs: Final = blobs
        self._in_force: Final = in_force
        self._anomalies: Final = anomalies
        self._commits: Final = commits
        self._actions: Final = actions
        self._audit: Final = audit
        self._clock: Final = clock
        self._lock = threads.lock()

    def one(self, principal: Principal, application: str) -> Dictionary:
        """What is in force for the application; an empty partial one if nothing was taken over. Blocks."""
        require(principal, Permission.READ)
        return self._current(principal.tenant, application)

    def take_over(self, principal: Principal, application: str, dictionary: Dictionary) -> TakenOver:
        """From the next dump of each of the application's devices on; durable on return.

        It takes the place of the one before, with what that was taught. The same again changes nothing.
        """
        require(principal, Permission.OPERATE)
        if len(application) > NAME_CHARACTERS_MAX:
            raise InvalidInputError(f"At most {NAME_CHARACTERS_MAX} characters.", field="application")
        with self._lock:
            return self._decide(principal, application, dictionary, "dictionary.take_over")

    def expect(self, principal: Principal, anomaly_id: str) -> TakenOver:
        """Teach the dictionary the new templates that an anomaly tells of: they are new on no device again.

        InvalidInputError if it tells of none. Durable on return; acts as a dictionary that is taken over, and
        is a comment in the anomaly's history.
        """
        require(principal, Permission.HANDLE)
        anomaly = self._anomalies.stored(principal, anomaly_id)
        application, texts = self._new_templates(anomaly)
        if not texts:
            raise InvalidInputError(
                "This anomaly tells of no new template, and only those can be expected.", field="anomaly"
            )
        with self._lock:
            taught = self._current(principal.tenant, application).with_templates(texts)
            taken = self._decide(principal, application, taught, "anomaly.expected", anomaly_id)
        if taken.new:
            note = "; ".join(
                [f"expected from now on in {application or 'dumps without an application'}", *taken.new]
            )
            target = Target(id=anomaly_id, version=None)
            asked = Asked(kind=ActionKind.COMMENT, note=note[:NOTE_CHARACTERS_MAX])
            self._actions.one(principal, asked, target)
        return taken

    def expectable(self, principal: Principal, anomaly_id: str) -> list[str]:
        """The new templates that an anomaly tells of and that are not expected yet. Blocks."""
        application, texts = self._new_templates(self._anomalies.stored(principal, anomaly_id))
        if not texts:
            return []
        expected = {each.template for each in self._current(principal.tenant, application).templates}
        return [text for text in dict.fromkeys(texts) if text not in expected]

    def _new_templates(self, anomaly: Anomaly) -> tuple[str, list[str]]:
        """Of its newest episodes: the application of their dumps, and the templates."""
        application, texts = anomaly.application, list[str]()
        for name in anomaly.episodes:
            episode = self._commits.episode(anomaly.tenant, name)
            evidence = None if episode is None else episode.evidence
            if episode is None or evidence is None or evidence.dumps is None or episode.reason != _REASON:
                continue
            template = evidence.dumps.facts.get("template")
            if isinstance(template, str):
                application = episode.application
                texts.append(template)
        return application, texts

    def _current(self, tenant: str, application: str) -> Dictionary:
        sha256 = self._in_force.dictionaries(tenant).get(application)
        if sha256 is None:
            return dictionary_of((), partial=True)
        with self._blobs.open(sha256) as blob:
            return parse_dictionary(blob.read(0, blob.size), f"the dictionary {sha256}")

    def _decide(
        self, principal: Principal, application: str, wanted: Dictionary, action: str, about: str = ""
    ) -> TakenOver:
        tenant = principal.tenant
        _check(wanted)
        known = self._in_force.dictionaries(tenant)
        if application not in known and len(known) >= APPLICATIONS_MAX:
            raise InvalidInputError(
                f"At most {APPLICATIONS_MAX} applications have a dictionary.", field="application"
            )
        before = self._current(tenant, application)
        if before != wanted:
            self._log_taken(tenant, application, wanted)
        self._audit.did(principal, action, about or application)
        difference = wanted.compared(before)
        return TakenOver(
            application=application,
            dictionary=wanted,
            new=tuple(each.template for each in difference.new),
            vanished=tuple(each.template for each in difference.vanished),
        )

    def _log_taken(self, tenant: str, application: str, wanted: Dictionary) -> None:
        """First the bytes, then the decision in every partition at once."""
        upload = self._blobs.begin()
        try:
            upload.write(wanted.to_json())
            sha256 = upload.finish().sha256
        finally:
            upload.discard()
        now_ms = self._clock.now_ms()
        record = DictionaryTaken(
            tenant=tenant, application=application, version=wanted.version, sha256=sha256, at_ms=now_ms
        )
        payload = encode_control(record)
        parts = tuple(
            Part(partition, RecordKind.CONTROL, 1, payload) for partition in range(self._log.partitions)
        )
        self._log.submit(Append(tenant=tenant, arrival_ms=now_ms, parts=parts)).result()


def _check(dictionary: Dictionary) -> None:
    if len(dictionary.templates) > TEMPLATES_MAX:
        raise InvalidInputError(f"A dictionary has at most {TEMPLATES_MAX} templates.", field="templates")
    for each in dictionary.templates:
        if not 1 <= len(each.template) <= TEMPLATE_CHARACTERS_MAX:
            raise InvalidInputError(
                f"A template has 1 to {TEMPLATE_CHARACTERS_MAX} characters: {each.id} has "
                f"{len(each.template)}.",
                field="templates",
            )
