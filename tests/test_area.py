"""Reference data as other subgraphs reach it."""

from tests.conftest import Api

ENTITIES = """query ($representations: [_Any!]!) { _entities(representations: $representations) {
  ... on District { code nameEn } ... on Industry { code name } } }"""


async def test_reference_data_are_entities_by_their_public_code(api: Api) -> None:
    asked = [("District", "310115"), ("Industry", "I65"), ("District", "999999")]
    representations = [{"__typename": typename, "code": code} for typename, code in asked]
    answer = await api(ENTITIES, representations=representations)
    district = {"code": "310115", "nameEn": "Pudong New Area"}
    assert answer == {"_entities": [district, {"code": "I65", "name": "软件和信息技术服务业"}, None]}
