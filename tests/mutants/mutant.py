"""One wrong edit."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old` stands exactly once in the file, and `new` in its place would be wrong."""

    name: str
    file: str
    old: str
    new: str

    def source(self, root: Path) -> str:
        """The file with the edit. Raises ValueError where the file has changed, so that the edit no longer fits."""
        text = (root / self.file).read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: stands {text.count(self.old)} times in {self.file}")
        return text.replace(self.old, self.new)
