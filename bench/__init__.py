"""Measurements: `python -m bench.<name>`. What they print is judged, never asserted."""
