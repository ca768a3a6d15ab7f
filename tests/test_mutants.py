"""The mutants of the engine fit its source; `make mutants` shows that they die."""

import ast
from collections import Counter

import pytest

from kit.settings import ROOT
from tests.mutants import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_an_edit_of_what_is_there_now(mutant: Mutant) -> None:
    edited = mutant.source(ROOT)
    assert ast.dump(ast.parse(edited)) != ast.dump(ast.parse((ROOT / mutant.file).read_text()))


def test_there_are_many_and_their_names_differ() -> None:
    names = Counter(mutant.name for mutant in MUTANTS)
    assert len(names) == len(MUTANTS) >= 50
