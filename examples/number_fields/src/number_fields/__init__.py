"""A detector of log dumps that learns the numbers in a device's lines."""

from number_fields.detector import NumberFields

__all__ = ["NumberFields"]
