"""Tocsin watches fleets of IoT devices and can prove every alarm it raises."""

__version__ = "0.1.0"
