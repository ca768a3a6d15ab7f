/** Apollo's automatic persisted queries, request by request. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { anyPolicy, freshQuery, get, JSON_TYPE, post, sha256 } from "../support/server.mjs";

const persisted = (sha256Hash, version = 1) => ({ persistedQuery: { version, sha256Hash } });
const code = ({ body }) => body.errors[0].extensions.code;
const TYPENAME = { data: { __typename: "Query" } };

function assertNotFound(answer) {
  assert.equal(answer.body.errors[0].message, "PersistedQueryNotFound");
  assert.equal(code(answer), "PERSISTED_QUERY_NOT_FOUND");
  assert.equal("data" in answer.body && answer.body.data !== null, false);
}

test("an unknown hash is not found, by POST and GET, and no cache may keep that answer", async () => {
  const extensions = persisted(await sha256(freshQuery()));
  for (const answer of [
    await post({ extensions }),
    await get({ extensions: JSON.stringify(extensions) }),
  ]) {
    assertNotFound(answer);
    assert.match(answer.headers.get("cache-control"), /no-store|no-cache|private/);
  }
});

test("an unknown hash answers 200 under application/json, as older clients need", async () => {
  const answer = await post({ extensions: persisted(await sha256(freshQuery())) }, { accept: JSON_TYPE });
  assert.equal(answer.status, 200);
  assertNotFound(answer);
});

test("a registered query is found by its hash, by POST and GET", async () => {
  const query = freshQuery();
  const extensions = persisted(await sha256(query));
  assert.deepEqual((await post({ query, extensions })).body, TYPENAME);
  assert.deepEqual((await post({ extensions })).body, TYPENAME);
  assert.deepEqual((await get({ extensions: JSON.stringify(extensions) })).body, TYPENAME);
});

test("a GET with query and hash registers too", async () => {
  const query = freshQuery();
  const extensions = persisted(await sha256(query));
  assert.deepEqual((await get({ query, extensions: JSON.stringify(extensions) })).body, TYPENAME);
  assert.deepEqual((await post({ extensions })).body, TYPENAME);
});

test("variables and operation names work with a hash", async () => {
  const { id, title } = await anyPolicy();
  const query = `query Title${id.slice(-8)}($id: ID!) { policy(id: $id) { title } }`;
  const extensions = persisted(await sha256(query));
  await post({ query, extensions, variables: { id } });
  const answer = await post({ extensions, variables: { id }, operationName: `Title${id.slice(-8)}` });
  assert.deepEqual(answer.body, { data: { policy: { title } } });
});

test("a hash of another text is refused and stores nothing", async () => {
  const query = freshQuery();
  const wrong = persisted(await sha256(freshQuery()));
  const refused = await post({ query, extensions: wrong });
  assert.deepEqual([refused.status, code(refused), refused.body.data], [400, "BAD_USER_INPUT", undefined]);
  assertNotFound(await post({ extensions: wrong }));
  assertNotFound(await post({ extensions: persisted(await sha256(query)) }));
});

for (const [name, sha256Hash, version] of [
  ["version 2", "a".repeat(64), 2],
  ["a version that is a text", "a".repeat(64), "1"],
  ["a hash that is too short", "abc", 1],
  ["a hash that is a number", 7, 1],
  ["a missing hash", undefined, 1],
]) {
  test(`${name} is refused`, async () => {
    const answer = await post({ extensions: persisted(sha256Hash, version) });
    assert.equal(answer.status, 400);
    assert.notEqual(code(answer), "INTERNAL");
  });
}

test("a query that fails validation is not stored", async () => {
  const query = freshQuery().replace("__typename", "nope");
  const extensions = persisted(await sha256(query));
  assert.equal(code(await post({ query, extensions })), "GRAPHQL_VALIDATION_FAILED");
  assertNotFound(await post({ extensions }));
});

test("a mutation runs by its hash over POST, never over GET", async () => {
  const query = `mutation ${freshQuery().slice(6, 40)} { __typename }`;
  const extensions = persisted(await sha256(query));
  assert.deepEqual((await post({ query, extensions })).body, { data: { __typename: "Mutation" } });
  assert.deepEqual((await post({ extensions })).body, { data: { __typename: "Mutation" } });
  const refused = await get({ extensions: JSON.stringify(extensions) });
  assert.equal(refused.status, 405);
  assert.equal(refused.body.data, undefined);
});

test("neither a query nor a hash is a bad request", async () => {
  assert.equal((await post({ extensions: {} })).status, 400);
});
