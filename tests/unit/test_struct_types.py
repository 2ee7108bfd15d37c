"""Record types are ready before threads share them."""

from __future__ import annotations

import subprocess
import sys

SHARED = """
from __future__ import annotations
import threading, time
import msgspec
from tocsin.bootstrap.struct_types import prepare_structs

def slow():
    time.sleep(0.3)  # lets the other thread go on while msgspec looks into the type
    return int

class Inner(msgspec.Struct):
    number: slow()

class Outer(msgspec.Struct):
    inner: Inner
    other: int

def decode():
    print(msgspec.json.decode(b'{"inner":{"number":1},"other":2}', type=Outer).other)

prepare_structs(__name__)
threads = [threading.Thread(target=decode) for _ in range(2)]
for thread in threads:
    thread.start()
    time.sleep(0.1)
for thread in threads:
    thread.join()
"""


def test_two_threads_may_decode_a_type_for_the_first_time() -> None:
    """Unprepared the second one reads what is half done: the process ends by a signal."""
    ended = subprocess.run(
        [sys.executable, "-c", SHARED], check=False, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout.split()) == (0, ["2", "2"])
