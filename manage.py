"""The command line. Run from the project's root: `python manage.py --help`."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

try:
    from kit.settings import ROOT, settings
except ValidationError as wrong:  # whose own text shows what was set, passwords included
    told = [" ".join((*map(str, each["loc"]), each["msg"])) for each in wrong.errors(include_input=False)]
    sys.exit("\n".join(["配置有误 (wrong settings):", *told]))

import migrations
from kit import local
from kit.bus import bus
from kit.db import database, fetch_text

cli = typer.Typer(no_args_is_help=True, add_completion=False, help="企服云, the Enterprise Service Cloud.")
importing = typer.Typer(no_args_is_help=True, help="Bring data in from files.")
cli.add_typer(importing, name="import")
console = Console()
WORKER_STOP_SECONDS = 15
EXAMPLES = """
[bold]Three queries to begin with[/bold] (GraphiQL opens with them):
  {{ search(query: "专精特新 贴息", types: [POLICY], first: 3) {{ totalCount nodes {{ ... on Policy {{ title }} }} }} }}
  {{ todayDeclarations(first: 3) {{ nodes {{ title issuer applyEnd daysLeft }} }} }}
  subscription {{ serverTime }}
"""


def start_servers() -> None:
    """Starts or adopts what the settings leave empty, and lets children know where it is."""
    try:
        servers = local.start(settings)
    except local.LocalServerError as error:
        console.print(f"[red]{error}[/red]")
        raise typer.Exit(1) from error
    settings.database_url, settings.redis_url = servers.database_url, servers.redis_url
    os.environ["DATABASE_URL"], os.environ["REDIS_URL"] = servers.database_url, servers.redis_url


@asynccontextmanager
async def opened() -> AsyncIterator[None]:
    """The pools and the bus, for a command."""
    await database.open(settings)
    await bus.open(settings.redis_url)
    try:
        yield
    finally:
        await bus.close()
        await database.close()


def run(act: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Runs a command's coroutine on the platform's servers."""
    start_servers()

    async def with_pools() -> Any:
        async with opened():
            return await act()

    return asyncio.run(with_pools())


async def prepare() -> None:
    """Migrates and loads reference data; both do nothing the second time."""
    from services import reference

    await migrations.upgrade(settings.database_url)
    await database.open(settings)
    try:
        async with database.write() as writing:
            await reference.load(writing)
    finally:
        await database.close()


@cli.command()
def serve(
    worker: Annotated[bool, typer.Option(help="Start the worker beside the server.")] = True,
    workers: Annotated[int, typer.Option(help="Server processes.", min=1)] = settings.workers,
    clock_at: Annotated[
        datetime | None, typer.Option("--clock", formats=["%Y-%m-%dT%H:%M:%S%z"], help="Business time to begin at.")
    ] = None,
) -> None:
    """Run the platform on HOST:PORT; loads sample data the first time in development."""
    start_servers()
    asyncio.run(prepare())
    if settings.development:
        asyncio.run(_first_steps(clock_at))
    elif clock_at is not None:
        raise typer.BadParameter("the clock moves in development only")
    ending = threading.Event()
    keeper = threading.Thread(target=_keep_worker, args=(ending,))
    address = f"http://{'127.0.0.1' if settings.host == '0.0.0.0' else settings.host}:{settings.port}"  # noqa: S104
    console.print(f"\n[bold]企服云[/bold]  {address}/graphql  (GraphiQL)   {address}/readyz   {address}/metrics")
    console.print(EXAMPLES.format())
    try:
        if worker:
            keeper.start()
        uvicorn.run(
            "app:app",
            host=settings.host,
            port=settings.port,
            workers=workers if workers > 1 else None,
            loop="uvloop" if sys.platform != "win32" else "asyncio",
            http="engine.answers:AnswerProtocol",
            ws="engine.frames:FrameProtocol",
            ws_max_size=1_048_576,
            ws_per_message_deflate=False,
            server_header=False,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
        )
    finally:
        ending.set()
        if keeper.is_alive():
            keeper.join()


def _keep_worker(ending: threading.Event) -> None:
    """Runs the worker beside the server and another one when it dies, since without one events only pile up."""
    while not ending.is_set():
        child = subprocess.Popen([sys.executable, str(ROOT / "manage.py"), "worker", "--parent", str(os.getpid())])
        while child.poll() is None and not ending.wait(0.2):
            pass
        child.terminate()
        try:
            child.wait(WORKER_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
        ending.wait(1)


async def _first_steps(clock_at: datetime | None) -> None:
    from services import demo, platform
    from services.uow import unit_of_work

    async with opened():
        if not await fetch_text("SELECT 1 FROM policy LIMIT 1") and not await fetch_text(
            "SELECT 1 FROM account LIMIT 1"
        ):
            console.print("Loading sample data …")
            await _load_demo(demo.load_city)
        if clock_at is not None:
            async with unit_of_work() as uow:
                await platform.move_clock(uow, clock_at)


async def _load_demo(load: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    from auth.passwords import hash_password
    from models.events import SearchOutdated
    from services import demo
    from services.uow import unit_of_work

    async with unit_of_work() as uow:
        await demo.load_demo_accounts(uow, hash_password(demo.PASSWORD))
        loaded = await load(uow)
        uow.emit(SearchOutdated())
    await _analyze()
    return loaded


async def _analyze() -> None:
    """Tells the planner of what was loaded in bulk at once, not when autovacuum comes by."""
    async with database.write() as writing:
        await writing.connection.execute("ANALYZE")


@cli.command()
def worker(
    parent: Annotated[int, typer.Option(hidden=True, help="Stop when this process is gone.")] = 0,
) -> None:
    """Run the worker: events, schedule, index. One works at a time, others wait."""
    import signal

    from jobs import worker as jobs
    from kit import log

    log.configure(settings)

    async def work() -> None:
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: task and not task.cancelling() and task.cancel())
        watcher = asyncio.create_task(_end_with(parent, task)) if parent else None
        try:
            await jobs.run(settings)
        except asyncio.CancelledError:
            return
        finally:
            if watcher:
                watcher.cancel()

    run(work)


async def _end_with(parent: int, task: "asyncio.Task[Any] | None") -> None:
    while os.getppid() == parent:  # noqa: ASYNC110 - a parent that dies tells nobody
        await asyncio.sleep(1)
    if task:
        task.cancel()


@cli.command()
def migrate(
    check: Annotated[bool, typer.Option("--check", help="Only tell whether models and migrations agree.")] = False,
    revision: Annotated[str, typer.Option(help="Write a new migration with this message.")] = "",
) -> None:
    """Bring the database to the newest form."""
    start_servers()
    asyncio.run(prepare())
    if revision:
        asyncio.run(migrations.new_revision(settings.database_url, revision))
    if check and (found := asyncio.run(migrations.drift(settings.database_url))):
        console.print("[red]Models and migrations differ:[/red]", *found, sep="\n  ")
        raise typer.Exit(1)


@cli.command()
def schema(
    check: Annotated[bool, typer.Option("--check", help="Only tell whether the file is current.")] = False,
) -> None:
    """Print the contract to schema/schema.graphql."""
    import schema as contract

    text = contract.printed()
    if not check:
        contract.SDL_FILE.write_text(text, encoding="utf-8")
    elif not contract.SDL_FILE.exists() or contract.SDL_FILE.read_text(encoding="utf-8") != text:
        console.print("[red]schema/schema.graphql is not what the code prints; run `python manage.py schema`[/red]")
        raise typer.Exit(1)


@cli.command()
def access() -> None:
    """Print the table of rules to docs/access.md."""
    from auth.report import page

    (ROOT / "docs" / "access.md").write_text(page(), encoding="utf-8")


@cli.command()
def demo(
    scale: Annotated[str, typer.Option(help="1, 2 … for that many small cities, or `bench`.")] = "1",
    accounts: Annotated[int, typer.Option(help="Also so many accounts user000001 …", min=0)] = 0,
    tokens: Annotated[Path | None, typer.Option(help="Write an access token for each of them to this file.")] = None,
) -> None:
    """Load sample data and demo accounts (development only)."""
    from services import demo as samples

    _development_only()

    async def load() -> None:
        from jobs import worker as jobs

        loader = samples.load_bench if scale == "bench" else lambda writing: samples.load_city(writing, int(scale))
        with console.status("Loading …"):
            loaded = await _load_demo(loader)
            if accounts:
                async with database.write() as writing:
                    await samples.load_accounts(writing, accounts)
        console.print("Loaded", ", ".join(f"{count:,} {name}" for name, count in loaded.items()))
        if tokens is not None:
            await asyncio.to_thread(tokens.write_text, await samples.access_tokens(accounts), "ascii")
        with console.status("Indexing …"):
            await jobs.drain(settings)

    start_servers()
    asyncio.run(prepare())
    run(load)


@importing.command("policies")
def import_policies(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help=".jsonl or .xlsx")],
    publish: Annotated[bool, typer.Option("--publish", help="Skip review (development only).")] = False,
    user: Annotated[str, typer.Option("--as", help="The account in whose name they are written.")] = "admin",
) -> None:
    """Import policies. Bad rows are reported in FILE.errors.csv; a second import of a file changes nothing."""
    if publish:
        _development_only()
    start_servers()
    asyncio.run(prepare())
    problems = run(lambda: _import_policies(file, user, publish=publish))
    if problems:
        path = file.with_name(f"{file.name}.errors.csv")
        path.write_text(problems, encoding="utf-8-sig")
        console.print(f"Details: {path}")


async def _import_policies(file: Path, user: str, *, publish: bool) -> str | None:
    from jobs import worker as jobs
    from services.account import named_viewer
    from services.policy import files
    from services.uow import Act, unit_of_work

    viewer = await named_viewer(user)
    if viewer is None:
        console.print(f"[red]没有账号 {user} (no account {user})[/red]")
        raise typer.Exit(1)
    try:
        rows = files.read(file.name, await asyncio.to_thread(file.read_bytes))
    except files.BadFile as error:
        console.print(f"[red]{error}[/red]")
        raise typer.Exit(1) from error
    with progress() as bar:
        task = bar.add_task("Importing", total=len(rows))

        async def tell(done: int) -> None:
            bar.update(task, completed=done)

        async with unit_of_work(Act(viewer, "import policies")) as uow:
            report = await files.import_policies(uow, viewer, rows, publish=publish, progress=tell)
    console.print(
        f"{report.created} new, {report.changed} changed, {report.unchanged} unchanged, "
        f"{len({problem.row for problem in report.errors})} refused, {len(report.warnings)} warnings"
    )
    await _analyze()
    with console.status("Indexing …"):
        await jobs.drain(settings)
    return files.problems_csv(report) if report.errors or report.warnings else None


@cli.command()
def template(
    kind: Annotated[str, typer.Argument(help="policies")],
    to: Annotated[Path | None, typer.Option(help="Where to write it.")] = None,
) -> None:
    """Write the Excel template of an import."""
    from kit.excel import write_template
    from services.policy.records import COLUMNS

    if kind != "policies":
        raise typer.BadParameter("there is a template for: policies")
    path = to or Path("policies.xlsx")
    path.write_bytes(write_template(COLUMNS))
    console.print(f"Wrote {path}")


@cli.command()
def doctor() -> None:
    """Say what the platform runs on, whether it is well, and what is wrong in plain words."""
    table = Table("part", "kind", "address", "version", "state")
    parts = local.describe(settings)
    for part in parts:
        state = "[green]ok[/green]" if part.healthy else f"[red]{part.problem}[/red]"
        table.add_row(part.name, part.kind, part.address, part.version, state)
    console.print(f"ESC_ENV={settings.env}  ESC_HOME={settings.home}  python {sys.version.split()[0]}")
    console.print(table)
    if any(not part.healthy for part in parts):
        raise typer.Exit(1)


def _development_only() -> None:
    if not settings.development:
        console.print("[red]Only in development (仅在开发环境可用)[/red]")
        raise typer.Exit(1)


def progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


if __name__ == "__main__":
    cli()
