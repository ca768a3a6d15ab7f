"""Some random operations on the package at hand: ends with 1 and a reason where it differs from the reference."""

import sys
from pathlib import Path

import engine
from kit.settings import settings
from tests.comparison import examine

PLANNED = 0.7


def main(address: str, home: str, count: int, number: int) -> None:
    if not Path(engine.__file__).is_relative_to(Path.cwd()):
        sys.exit("this is another copy of the engine")
    settings.database_url, settings.home = address, Path(home)
    try:
        tally = examine(count, number)
    except Exception as error:  # noqa: BLE001 - whatever the mutant does
        first = str(error).splitlines() or [""]
        sys.stdout.write(
            f"{type(error).__name__}: {next((each for each in first if each.startswith('not')), first[0])}"
        )
        sys.exit(1)
    if tally.planned < PLANNED * tally.examples:
        sys.stdout.write(f"only {tally.planned} of {tally.examples} operations are answered by plans")
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
