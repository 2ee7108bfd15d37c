"""The composition root: the only place that knows which implementation stands behind each port."""

from tocsin.bootstrap.application import Application

__all__ = ["Application"]
