"""Archives: good ones give every byte, each row of bad input gives its code and never a half."""

from __future__ import annotations

import gzip
import io
import random
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dump_kit import LOGS, Hostile, Part, good_archive, nested_quotes, overlapping, streamed_archive
from tocsin.dumps.archive import Archive
from tocsin.dumps.faults import ArchiveError
from tocsin.dumps.limits import ArchiveLimits
from tocsin.dumps.lines import line_blocks
from tocsin.dumps.source import BytesSource, FileSource

CRC, PACKED = zlib.crc32(b"hello\n"), len(Part().payload())
SMALL = bytes(1 << 20)
SMALL_GZ = gzip.compress(bytes(90))
WHOLE = [good_archive(), streamed_archive(), Hostile([Part(method=93)]).build()]
WIDE_SIZES = struct.pack("<HHQQ", 1, 16, 6, PACKED)


def contents(data: bytes, limits: ArchiveLimits | None = None) -> dict[str, bytes]:
    """Every member unpacked."""
    archive = Archive(BytesSource(data), limits)
    return {member.name: b"".join(member.plain()) for member in archive.members}


def code_of(data: bytes, limits: ArchiveLimits | None = None) -> str:
    """The code that reading everything ends in."""
    with pytest.raises(ArchiveError) as caught:
        Archive(BytesSource(data), limits).prove()
    assert caught.value.status == 422
    return caught.value.code


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_a_device_zipped_comes_out_again(method: int) -> None:
    """Stored and deflated members, with their sizes before the data and behind them."""
    assert contents(good_archive(method=method)) == LOGS
    assert contents(streamed_archive(method=method)) == LOGS


def test_zstd_members_are_read() -> None:
    """Several frames too."""
    data = random.Random(1).randbytes(300_000) + bytes(300_000)
    part = Part(data=data, method=93)
    assert contents(Hostile([part]).build()) == {"a.log": data}
    halves = Part(data=data[:5], method=93).payload() + Part(data=data[5:], method=93).payload()
    assert contents(Hostile([Part(data=data, method=93, packed=halves)]).build()) == {"a.log": data}


def test_zip64_archives_are_read() -> None:
    """Wide sizes of members, and a wide end, where a writer could not know that narrow ones would do."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("big.log", "w", force_zip64=True) as member:
        member.write(b"wide\n")
    assert contents(buffer.getvalue()) == {"big.log": b"wide\n"}
    part = Part(narrow=True, extra=WIDE_SIZES)
    at, size = len(part.local()), len(part.central(0))
    wide = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, at)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, at + size, 1)
    built = Hostile([part], wide=wide + locator, count=0xFFFF, directory_bytes=0xFFFFFFFF).build()
    assert contents(built) == {"a.log": b"hello\n"}
    assert code_of(Hostile([part], wide=wide + locator, count=2).build()) == "zip_malformed"
    assert code_of(Hostile([part], wide=b"x" * len(wide) + locator).build()) == "zip_malformed"


@pytest.mark.parametrize("form", ["<III", "<IQQ"])
@pytest.mark.parametrize("mark", [b"", b"PK\7\x08"])
def test_descriptors_of_every_form_are_read(form: str, mark: bytes) -> None:
    """Narrow and wide, with and without a mark; one that lies is refused."""
    right, wrong = (mark + struct.pack(form, crc, PACKED, 6) for crc in (CRC, CRC ^ 1))
    zeros = {"local_crc": 0, "local_sizes": (0, 0), "flags": 8}
    assert contents(Hostile([Part(descriptor=right, **zeros)]).build()) == {"a.log": b"hello\n"}  # type: ignore[arg-type]
    assert code_of(Hostile([Part(descriptor=wrong, **zeros)]).build()) == "zip_malformed"  # type: ignore[arg-type]


def test_a_nested_gz_is_opened_for_its_lines() -> None:
    """Rotated logs lie in dumps as .gz, sometimes as several streams or filled up with zeros."""
    packed = gzip.compress(b"a\n") + gzip.compress(b"b\n") + bytes(40)
    archive = Archive(BytesSource(good_archive({"old.log.GZ": packed, "empty.gz": b""})))
    assert [list(member.lines()) for member in archive.members] == [[b"a", b"b"], []]
    assert b"".join(archive.members[0].chunks()) == packed


@pytest.mark.parametrize(
    ("data", "limits"),
    [
        pytest.param(good_archive({"z": bytes(5 << 20)}), {}, id="a member packed too well"),
        pytest.param(good_archive({"z.gz": gzip.compress(bytes(5 << 20))}), {}, id="a nested bomb"),
        pytest.param(good_archive({"z.gz.gz": gzip.compress(gzip.compress(b""))}), {}, id="nested twice"),
        pytest.param(good_archive(), {"members_max": 1}, id="members"),
        pytest.param(good_archive(), {"directory_bytes_max": 50}, id="directory"),
        pytest.param(good_archive(), {"bytes_max": 80}, id="bytes"),
        pytest.param(good_archive(), {"member_bytes_max": 50}, id="bytes of a member"),
        pytest.param(good_archive(), {"name_bytes_max": 8}, id="name"),
        pytest.param(good_archive({"/".join("abc"): b""}), {"name_parts_max": 2}, id="folders"),
        pytest.param(
            good_archive({"z.gz": gzip.compress(bytes(90))}), {"member_bytes_max": 80}, id="out of gz"
        ),
        pytest.param(
            good_archive({f"{n}.gz": gzip.compress(bytes(90)) for n in range(3)}),
            {"bytes_max": 200},
            id="gz sum",
        ),
        pytest.param(
            good_archive({f"{n}.gz": gzip.compress(b"") * 4 for n in range(3)}),
            {"gz_streams_max": 11},
            id="gz streams",
        ),
        pytest.param(
            Hostile([Part(data=bytes(1 << 20), method=93)]).build(),
            {"window_bytes_max": 1 << 10},
            id="window",
        ),
    ],
)
def test_bombs_meet_a_limit(data: bytes, limits: dict[str, int]) -> None:
    """Each bound by itself answers `zip_limit`."""
    assert code_of(data, ArchiveLimits(**limits)) == "zip_limit"


def test_streams_without_a_byte_are_counted_once_and_told() -> None:
    """Each costs time though it unpacks to nothing. Read twice they are no more; the reason has the limit."""
    data = good_archive({f"{n}.gz": gzip.compress(b"") * 40 for n in range(3)})
    archive = Archive(BytesSource(data), ArchiveLimits(gz_streams_max=120))
    assert archive.prove() == archive.prove()
    with pytest.raises(ArchiveError, match=r"The \.gz members hold more than 119 gzip streams\."):
        Archive(BytesSource(data), ArchiveLimits(gz_streams_max=119)).prove()


def test_a_bomb_is_refused_before_anything_is_unpacked() -> None:
    """Opening is enough, for what the headers claim is held against the limits."""
    with pytest.raises(ArchiveError, match="250 times"):
        Archive(BytesSource(good_archive({"z": bytes(5 << 20)})))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(overlapping(), id="members that share all bytes"),
        pytest.param(nested_quotes(), id="members that quote each other's headers"),
        pytest.param(Hostile([Part(local_name=b"b.log")]).build(), id="another name before the data"),
        pytest.param(Hostile([Part(local_method=0)]).build(), id="another method"),
        pytest.param(Hostile([Part(local_crc=1)]).build(), id="another checksum"),
        pytest.param(Hostile([Part(local_sizes=(3, 3))]).build(), id="other sizes"),
        pytest.param(Hostile([Part(unpacked_bytes=3)]).build(), id="longer than it says"),
        pytest.param(Hostile([Part(unpacked_bytes=9)]).build(), id="shorter than it says"),
        pytest.param(Hostile([Part(method=0, unpacked_bytes=9)]).build(), id="stored with two sizes"),
        pytest.param(Hostile(behind=b"x").build(), id="trailing data"),
        pytest.param(Hostile(before=b"MZ").build(), id="leading data"),
        pytest.param(Hostile(gap=b"..").build(), id="bytes between members"),
        pytest.param(Hostile(comment=Hostile().build()[-22:]).build(), id="a second end in the comment"),
        pytest.param(Hostile([Part(), Part()]).build(), id="one name twice"),
        pytest.param(Hostile(count=2).build(), id="fewer members than it says"),
        pytest.param(Hostile([Part(), Part(name=b"b")], count=1).build(), id="more members than it says"),
        pytest.param(Hostile(directory_offset=3).build(), id="a directory elsewhere"),
        pytest.param(Hostile(disk=1).build(), id="one of several parts"),
        pytest.param(Hostile([Part(extra=WIDE_SIZES * 2)]).build(), id="two Zip64 fields"),
        pytest.param(Hostile([Part(extra=b"\1\0\xff\0")]).build(), id="an extra field too long"),
        pytest.param(Hostile([Part(narrow=True, extra=b"\1\0\0\0")]).build(), id="a Zip64 field too short"),
        pytest.param(Hostile([Part(name=b"d/")]).build(), id="a folder with bytes"),
        pytest.param(Hostile([Part(flags=8)]).build(), id="a descriptor that is missing"),
        pytest.param(Hostile([Part(crc=5)]).build(), id="a wrong checksum"),
        pytest.param(Hostile([Part(packed=b"\xff" * 9)]).build(), id="no deflate"),
        pytest.param(Hostile([Part(packed=Part().payload() + b"x")]).build(), id="bytes behind deflate"),
        pytest.param(Hostile([Part(method=93, packed=b"\xff" * 9)]).build(), id="no zstd"),
        pytest.param(good_archive({"a.gz": b"plain"}), id="a gz that is none"),
        pytest.param(good_archive({"a.gz": gzip.compress(b"long enough")[:-9]}), id="a gz cut off"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"PK\5\6", id="four bytes"),
    ],
)
def test_archives_that_contradict_themselves_are_malformed(data: bytes) -> None:
    """Whatever two readers could take for two things, or is not whole, answers `zip_malformed`."""
    assert code_of(data) == "zip_malformed"


def test_an_archive_cut_anywhere_is_malformed() -> None:
    """No prefix of an archive is one."""
    for whole in (good_archive(), streamed_archive()):
        for length in range(len(whole)):
            assert code_of(whole[:length]) == "zip_malformed"


@pytest.mark.parametrize(
    "name", [b"../x", b"a/../../x", b"a\\..\\x", b"..", b"/etc/passwd", b"\\x", b"C:\\x", b"a\0b", b""]
)
def test_names_that_leave_their_folder_are_refused(name: bytes) -> None:
    """On any system: `/` and `\\` part names, and drives count as absolute."""
    assert code_of(Hostile([Part(name=name)]).build()) == "zip_path"


@pytest.mark.parametrize("mode", [0o120777, 0o010644, 0o020644, 0o060644, 0o140644])
def test_links_and_devices_are_refused(mode: int) -> None:
    """Symbolic links, pipes, character and block devices, sockets; plain files pass."""
    assert code_of(Hostile([Part(made_by=3 << 8, attributes=mode << 16)]).build()) == "zip_path"
    assert contents(Hostile([Part(made_by=3 << 8, attributes=0o100644 << 16)]).build())


def test_names_that_act_are_kept_but_never_shown_raw() -> None:
    """An escape in a name passes, and is named in what people read about it."""
    assert contents(Hostile([Part(name=b"a\x1b[2J")]).build()) == {"a\x1b[2J": b"hello\n"}
    with pytest.raises(ArchiveError) as caught:
        Archive(BytesSource(Hostile([Part(name=b"\x1b[2J/..")]).build()))
    assert "\x1b" not in caught.value.detail


@pytest.mark.parametrize("flags", [0x0001, 0x0041, 0x2000])
def test_encrypted_members_are_refused(flags: int) -> None:
    """Whether weakly, strongly or with a hidden directory; and as WinZip does it."""
    assert code_of(Hostile([Part(flags=flags)]).build()) == "zip_encrypted"
    assert code_of(Hostile([Part(method=99, extra=b"\1\x99\0\0")]).build()) == "zip_encrypted"


@pytest.mark.parametrize("method", [1, 6, 9, 12, 14, 20, 95, 98])
def test_other_methods_are_refused(method: int) -> None:
    """With a code of their own, since the archive may be sound."""
    assert code_of(Hostile([Part(method=method)]).build()) == "zip_unsupported"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_flipped_byte_never_changes_what_is_read(data: st.DataObject) -> None:
    """Altered anywhere, an archive is refused, or gives what it gave: only dates and the like may differ."""
    whole = data.draw(st.sampled_from(WHOLE))
    place = data.draw(st.integers(0, len(whole) - 1))
    altered = bytearray(whole)
    altered[place] ^= data.draw(st.integers(1, 255))
    try:
        found = contents(bytes(altered))
    except ArchiveError:
        return
    assert sorted(found.values()) == sorted(contents(whole).values())


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text("abcé", min_size=1), st.binary(max_size=2000), max_size=5), st.booleans())
def test_any_members_come_out_as_they_went_in(members: dict[str, bytes], streamed: bool) -> None:
    """Names and bytes of any kind, however many members; none too."""
    assert contents((streamed_archive if streamed else good_archive)(members)) == members


def test_memory_stays_small_whatever_is_in_the_archive(tmp_path: Path) -> None:
    """64 MiB of one line, out of a file: no more than some pieces and a line are held."""
    path = tmp_path / "big.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive, archive.open("a", "w") as member:
        for _ in range(64):
            member.write(b"x" * (1 << 20))
    tracemalloc.start()
    try:
        with FileSource(path) as source:
            total = sum(len(line) for member in Archive(source).members for line in member.lines())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 64 << 20
    assert peak < 4 << 20


def plain_lines(data: bytes, longest: int) -> list[bytes]:
    """What lines are, said simply."""
    found = []
    *whole, rest = data.split(b"\n")
    for line in [line.removesuffix(b"\r") for line in whole] + ([rest] if rest else []):
        found += [line[at : at + longest] for at in range(0, max(1, len(line)), longest)]
    return found


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=12) | st.sampled_from([b"\n", b"\r", b"\r\n", b"ab\r\n\n"]), max_size=12),
    st.integers(1, 6),
)
def test_where_the_input_is_cut_changes_no_line(pieces: list[bytes], longest: int) -> None:
    """Any bytes, any cuts: the same lines, none longer than allowed, none of their bytes lost."""
    found = [line for block in line_blocks(pieces, longest) for line in block]
    assert found == plain_lines(b"".join(pieces), longest)
    assert all(len(line) <= longest for line in found)
    kept = b"".join(found)
    assert kept.replace(b"\r", b"") == b"".join(pieces).replace(b"\r", b"").replace(b"\n", b"")
