"""The platform itself as a contender: `app.py` as production runs it, its log and its rules on, with the stand-in.

`BENCH_ENGINE` is a JSON object of the engine's keyword arguments that are to differ: what makes its own rivals of it.
"""

import os
from typing import Any

import orjson

import app
import schema
from bench import serving, standin
from engine import Engine


def main() -> None:
    different = orjson.loads(os.environ.get("BENCH_ENGINE", "{}"))

    def engine(*contract: Any, **options: Any) -> Engine:
        return Engine(*contract, **{**options, **different})

    setattr(app, "Engine", engine)  # noqa: B010 - as production never does
    setattr(schema, "_DOMAINS", (*schema._DOMAINS, standin))  # noqa: B010, SLF001 - one domain more, here only
    serving.serve(app.app, http="engine.answers:AnswerProtocol", ws="engine.frames:FrameProtocol")


if __name__ == "__main__":
    main()
