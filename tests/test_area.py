"""Reference data as other subgraphs reach it."""

import asyncio
from itertools import count

import asyncpg

from kit.feed import feed
from kit.settings import settings
from tests.conftest import Api
from tests.storefront import statements
from tests.test_cache import heard

ENTITIES = """query ($representations: [_Any!]!) { _entities(representations: $representations) {
  ... on District { code nameEn } ... on Industry { code name } } }"""


async def test_reference_data_are_entities_by_their_public_code(api: Api) -> None:
    asked = [("District", "310115"), ("Industry", "I65"), ("District", "999999")]
    representations = [{"__typename": typename, "code": code} for typename, code in asked]
    answer = await api(ENTITIES, representations=representations)
    district = {"code": "310115", "nameEn": "Pudong New Area"}
    assert answer == {"_entities": [district, {"code": "I65", "name": "软件和信息技术服务业"}, None]}


NUMBERS = count()


async def street_and_sector(api: Api) -> tuple[str, str, int]:
    """What hangs on codes, by a text that was never sent before and so is in no cache of answers."""
    query = f"""{{ a{next(NUMBERS)}: __typename industries {{ code children {{ code name parent {{ name }} }} }}
      districts {{ code streets {{ code name }} }} }}"""
    answer = await api(query)
    sectors = {each["code"]: each for section in answer["industries"] for each in section["children"]}
    streets = {each["code"]: each["streets"] for each in answer["districts"]}
    return sectors["I65"]["name"], sectors["I65"]["parent"]["name"], len(streets["310115"])


async def test_code_lists_are_read_once_and_then_known(api: Api) -> None:
    first = await street_and_sector(api)
    async with statements() as seen:
        assert await street_and_sector(api) == first == ("软件和信息技术服务业", "信息传输、软件和信息技术服务业", 42)
    assert [text for text in seen if "ANY" in text] == []
    assert len(seen) == 2  # the lists at the root


async def test_a_code_that_somebody_else_renames_is_known_anew_everywhere(api: Api) -> None:
    await street_and_sector(api)
    connection = await asyncpg.connect(settings.database_url)
    try:
        await connection.execute("UPDATE industry SET name = '软件业' WHERE code = 'I65'")
        await connection.execute("UPDATE industry SET name = '信息业' WHERE code = 'I'")
        await connection.execute(
            "DELETE FROM street WHERE code = (SELECT min(code) FROM street WHERE code LIKE '310115%')"
        )
        await heard()
        assert await street_and_sector(api) == ("软件业", "信息业", 41)
    finally:
        await connection.close()


async def test_while_the_line_is_down_codes_are_read_each_time(api: Api) -> None:
    before = await street_and_sector(api)
    await feed.close()
    connection = await asyncpg.connect(settings.database_url)
    try:
        await connection.execute("UPDATE industry SET name = '软件业' WHERE code = 'I65'")
        assert await street_and_sector(api) == ("软件业", *before[1:])
        await connection.execute("UPDATE industry SET name = '编程业' WHERE code = 'I65'")
        assert await street_and_sector(api) == ("编程业", *before[1:])
        await feed.open(settings.database_url)
        assert await street_and_sector(api) == ("编程业", *before[1:])
    finally:
        await connection.close()


async def test_requests_that_ask_for_codes_together_are_all_answered(api: Api) -> None:
    found = await asyncio.gather(*(street_and_sector(api) for _ in range(8)))
    assert set(found) == {("软件和信息技术服务业", "信息传输、软件和信息技术服务业", 42)}
