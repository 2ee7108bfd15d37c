"""Hostile neighbours: what they cost devices that behave well, whose verdicts they must not change."""
