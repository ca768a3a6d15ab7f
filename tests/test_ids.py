"""Identifiers: in the order of time, and never twice."""

import subprocess
import sys
from datetime import timedelta
from uuid import RFC_4122, UUID

import pytest

from kit import clock
from kit.ids import uuid7, uuid7_hex
from kit.settings import ROOT


def test_ids_are_uuids_of_version_7_and_never_the_same() -> None:
    made = [uuid7() for _ in range(1_000)] + [UUID(uuid7_hex()) for _ in range(1_000)]
    assert {(each.version, each.variant) for each in made} == {(7, RFC_4122)}
    assert len(set(made)) == 2_000


def test_ids_sort_by_the_millisecond_they_were_made_in(monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.real()
    made = []
    for number in range(5):
        monkeypatch.setattr(clock, "real", lambda number=number: now + timedelta(milliseconds=number))
        made.append(uuid7())
    assert made == sorted(made)
    assert [each.int >> 80 for each in made] == [int(now.timestamp() * 1000) + number for number in range(5)]


def test_a_forked_process_makes_other_ids() -> None:
    """In a process without threads, since others may not fork."""
    script = """
import os
from kit.ids import uuid7_hex
uuid7_hex()
child = os.fork()
os.write(1, "".join(f"{uuid7_hex()[12:]} " for _ in range(100)).encode())
if child:
    os.waitpid(child, 0)
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(set(ended.stdout.split())) == 200
