"""The components of a machine that loads, presses, looks at and stacks parts, and what each says."""

from __future__ import annotations

from typing import Final

from tocsin.simulate.dumps.components.controller import CONTROLLER
from tocsin.simulate.dumps.components.door import DOOR
from tocsin.simulate.dumps.components.drive import DRIVE
from tocsin.simulate.dumps.components.network import NETWORK
from tocsin.simulate.dumps.components.power import POWER
from tocsin.simulate.dumps.components.vision import VISION

GRAMMARS: Final = (CONTROLLER, DRIVE, DOOR, VISION, NETWORK, POWER)
