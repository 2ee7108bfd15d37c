"""A worker: takes one task after another, within limits, without a network.

`python -m tocsin.dump_detectors.worker_child FD LIMITS`: FD is a socket to the pool, LIMITS are StepLimits
as JSON. It ends when the pool has gone.
"""

from __future__ import annotations

import resource
import socket
import sys
from typing import Final

import msgspec

from tocsin.confinement import allow_cpu, confine_worker
from tocsin.dump_detectors.instances import Instances
from tocsin.dump_detectors.limits import StepLimits
from tocsin.dump_detectors.stepping import step
from tocsin.dump_detectors.steps import StepFailed
from tocsin.dump_detectors.wire import (
    FRAME_BYTES_MAX,
    Done,
    Failed,
    Ready,
    decode_task,
    encode,
    receive,
    send,
)
from tocsin.lifeline import end_with

_CPU_SPARE_S: Final = 2.0


def main() -> None:
    """Serve until the other end of the socket is closed."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    limits = msgspec.json.decode(sys.argv[2], type=StepLimits)
    end_with(channel)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_bytes_max, limits.file_bytes_max))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits.files_max, limits.files_max))
    offline = confine_worker(limits.memory_bytes)
    send(channel, encode(Ready(offline)))
    instances = Instances(limits)
    while True:
        try:
            task = decode_task(receive(channel, FRAME_BYTES_MAX))
        except EOFError:
            return
        allow_cpu(limits.wall_s * 2 + _CPU_SPARE_S)
        result = step(task, instances, limits)
        send(channel, encode(Failed(result) if isinstance(result, StepFailed) else Done(result)))


if __name__ == "__main__":
    main()
