"""Small wrong edits of the compiler and the executor. `python -m tests.mutants` shows that a test dies of each."""

from tests.mutants.edits import MUTANTS
from tests.mutants.mutant import Mutant

__all__ = ["MUTANTS", "Mutant"]
