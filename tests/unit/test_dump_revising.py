"""What becomes of published episodes when a device's dumps are judged again."""

from __future__ import annotations

import msgspec

from tocsin.control import DumpOutcome, DumpReceived
from tocsin.dump_detectors.abstract import Finding
from tocsin.dump_detectors.episodes import Folded, Judged, OpenEpisodes, fold
from tocsin.dump_detectors.revising import revise
from tocsin.model import Severity


def folded(*scores: float) -> Folded:
    """One dump after another, each with a finding of one cause."""
    found = Folded(OpenEpisodes(), ())
    for sequence, score in enumerate(scores, start=1):
        dump = DumpReceived(
            tenant="t",
            device="d",
            sequence=sequence,
            sha256=f"{sequence:064x}",
            size_bytes=1,
            outcome=DumpOutcome.ACCEPTED,
            collected_from_ms=sequence * 1_000,
            collected_to_ms=sequence * 1_000 + 999,
        )
        finding = Finding(
            component="door",
            code="fault",
            severity=Severity.WARNING,
            score=score,
            key="",
            from_ms=sequence * 1_000,
            to_ms=sequence * 1_000 + 999,
            reason="it is stuck",
        )
        judged = Judged(dump=dump, detector="counting", version="1", partition=0, findings=(finding,))
        found = fold(found.open, judged)
    return found


def test_what_is_derived_as_it_was_published_is_not_told_again() -> None:
    """And goes on under its id."""
    found = folded(3.0, 2.0)
    revised = revise(found.changed, found.changed, found.open)
    assert revised.changed == ()
    assert [episode.id for _, episode in revised.open.episodes] == [found.changed[0].id]


def test_what_is_kept_on_the_way_has_the_ids_that_people_know() -> None:
    """An episode that is derived under another id goes on under the old one, from a snapshot, too."""
    found = folded(3.0, 2.0)
    published = [msgspec.structs.replace(each, id="ep_told_before") for each in found.changed]
    revised = revise(published, found.changed, found.open)
    assert [episode.id for _, episode in revised.open.episodes] == ["ep_told_before"]
    assert [episode.id for _, episode in revised.known(folded(3.0).open).episodes] == ["ep_told_before"]


def test_an_episode_that_was_retracted_may_come_back() -> None:
    """As the revision after the one that retracted it: an earlier one would be seen by nobody."""
    found = folded(3.0)
    retracted = revise(found.changed, (), OpenEpisodes()).changed
    assert [(each.retracted, each.revision) for each in retracted] == [(True, 1)]
    back = revise(retracted, found.changed, found.open)
    assert [(each.id, each.retracted, each.revision) for each in back.changed] == [
        (found.changed[0].id, False, 2)
    ]
    assert [episode.revision for _, episode in back.open.episodes] == [2]


def test_other_findings_are_told_though_people_see_the_same() -> None:
    """A proof compares them: without a revision it would look for those that were published before."""
    published, derived = folded(3.0, 2.0), folded(3.0, 1.0)
    plain = [
        msgspec.structs.replace(found.changed[0], evidence=None).explanation for found in (published, derived)
    ]
    assert plain[0] == plain[1]
    (told,) = revise(published.changed, derived.changed, derived.open).changed
    assert told.revision == 1
    assert told.evidence is not None
    assert derived.changed[0].evidence is not None
    assert told.evidence.dumps == derived.changed[0].evidence.dumps


def test_a_finding_without_any_time_is_of_when_its_dump_came() -> None:
    """Neither the detector nor the device knows when it was: 1970 would be no time of it."""
    dump = DumpReceived(
        tenant="t",
        device="d",
        sequence=1,
        sha256="0" * 64,
        size_bytes=1,
        outcome=DumpOutcome.ACCEPTED,
        received_ms=1_767_571_200_000,
    )
    finding = Finding(
        component="door",
        code="fault",
        severity=Severity.WARNING,
        score=2.0,
        from_ms=0,
        to_ms=0,
        reason="stuck",
    )
    judged = Judged(dump=dump, detector="counting", version="1", partition=0, findings=(finding,))
    (episode,) = fold(OpenEpisodes(), judged).changed
    assert {episode.started_ms, episode.last_abnormal_ms, episode.peak_ms} == {1_767_571_200_000}
    following = msgspec.structs.replace(dump, sequence=2, received_ms=1_767_571_300_000)
    quiet = msgspec.structs.replace(judged, dump=following, findings=())
    (ended,) = fold(fold(OpenEpisodes(), judged).open, quiet).changed
    assert ended.end_ms == 1_767_571_200_000
