"""A detector of log dumps that learns how often a device writes lines of each shape."""

from line_shapes.detector import LineShapes

__all__ = ["LineShapes"]
