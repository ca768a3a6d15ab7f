/** GraphQL over HTTP: the whole server audit of graphql-http, every MUST and SHOULD. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { serverAudits } from "graphql-http";

import { as, ESC_URL, get, GRAPHQL, GRAPHQL_JSON, HARDENED, post } from "../support/server.mjs";

/** The audit asks for a type by its name, which a hardened server tells administrators only. */
async function fetchFn(url, { headers, ...init } = {}) {
  return fetch(url, { ...init, headers: { ...headers, ...(HARDENED ? await as("admin") : {}) } });
}

describe("graphql-http audit", () => {
  for (const audit of serverAudits({ url: GRAPHQL, fetchFn })) {
    test(`${audit.id} ${audit.name}`, async () => {
      const result = await audit.fn();
      if ("response" in result) await result.response.body?.cancel().catch(() => {});
      const passed = audit.name.startsWith("MAY") ? ["ok", "notice"] : ["ok"];
      assert.ok(passed.includes(result.status), result.reason);
    });
  }
});

test("a GET that only a program would send is answered", async () => {
  const { status, body } = await get({ query: "{ __typename }" });
  assert.deepEqual([status, body], [200, { data: { __typename: "Query" } }]);
});

test("a browser is given the explorer at the same address", { skip: HARDENED }, async () => {
  const response = await fetch(GRAPHQL, { headers: { accept: "text/html,application/xhtml+xml,*/*;q=0.8" } });
  const text = await response.text();
  assert.match(response.headers.get("content-type"), /^text\/html/);
  assert.match(text, /企服云 GraphQL/);
});

test("an answer names its media type, forbids sniffing and varies by Accept", async () => {
  const { headers } = await post({ query: "{ __typename }" });
  assert.match(headers.get("content-type"), new RegExp(`^${GRAPHQL_JSON.replace("+", "\\+")}`));
  assert.equal(headers.get("x-content-type-options"), "nosniff");
  assert.match(headers.get("vary"), /accept/i);
});

test("an Accept that the server cannot meet is answered 406", async () => {
  const { status } = await post({ query: "{ __typename }" }, { accept: "image/png" });
  assert.equal(status, 406);
});

test("health and readiness answer", async () => {
  for (const path of ["/healthz", "/readyz"]) assert.equal((await fetch(ESC_URL + path)).status, 200, path);
});
