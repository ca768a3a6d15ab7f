/** Hostile requests: each is refused in the way stated, and the server answers the next honest one. */
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";

import { ESC_URL, get, GRAPHQL, GRAPHQL_JSON, HARDENED, JSON_TYPE, post, send } from "../support/server.mjs";

const TEN_MEGABYTES = 10_000_000;
const times = (count, make) => Array.from({ length: count }, (_, index) => make(index)).join(" ");
const code = ({ body }) => body?.errors?.[0]?.extensions?.code;

afterEach(async () => {
  const { status, body } = await post({ query: "{ __typename }" });
  assert.deepEqual([status, body], [200, { data: { __typename: "Query" } }], "the server answers no more");
});

/** Sends bytes on a socket of its own and returns all that came back before the deadline. */
function exchange(pieces, deadline) {
  const { hostname, port } = new URL(ESC_URL);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let answer = "";
    const timer = setTimeout(() => socket.destroy(), deadline);
    socket.on("data", (chunk) => (answer += chunk));
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(answer);
    });
    for (const piece of pieces) socket.write(piece);
  });
}

const head = (...lines) =>
  ["POST /graphql HTTP/1.1", `Host: ${new URL(ESC_URL).host}`, `Content-Type: ${JSON_TYPE}`, ...lines, "", ""].join("\r\n");

describe("documents beyond a limit are refused before they run", () => {
  const deep = (levels) =>
    `{ stores(first: 1) { nodes { ${"products(first: 1) { nodes { store { ".repeat(levels)} id ${"} } }".repeat(levels)} } } }`;
  const cases = {
    "101 aliases": `{ ${times(101, (i) => `a${i}: __typename`)} }`,
    "150 aliases through a fragment": `{ ...F ...F ...F } fragment F on Query { ${times(50, (i) => `a${i}: __typename`)} }`,
    "an amplifying chain of fragments": `{ ...F0 } ${times(30, (i) => `fragment F${i} on Query { ...F${i + 1} ...F${i + 1} }`)} fragment F30 on Query { __typename }`,
    "depth 20": deep(6),
    "depth 20 through fragments": `{ stores(first: 1) { nodes { ...S0 } } } ${times(8, (i) => `fragment S${i} on Store { products(first: 1) { nodes { store { ...S${i + 1} } } } }`)} fragment S8 on Store { id }`,
    "100,000 tokens": `{ ${"a ".repeat(100_000)} }`,
    "1,000 root fields": `{ ${times(1_000, () => "__typename")} }`,
    "1,000 operations": times(1_000, (i) => `query Q${i} { __typename }`),
    "60 directives on 60 fields": `{ ${times(60, (i) => `a${i}: __typename @include(if: true)`)} }`,
    "500 duplicated fields": `{ policies(first: 1) { nodes { ${"title ".repeat(500)} } } }`,
    "pages inside pages": "{ stores(first: 100) { nodes { products(first: 100) { nodes { store { products(first: 100) { nodes { id } } } } } } } }",
    "endless introspection": `{ __schema { types { ${"fields { type { ".repeat(12)} name ${"} } ".repeat(12)} } } }`,
  };
  for (const [name, query] of Object.entries(cases)) {
    test(name, async () => {
      const answer = await post({ query });
      assert.deepEqual([answer.status, code(answer), answer.body.data], [400, "COST_EXCEEDED", undefined]);
    });
  }

  test("a first of a million is refused", async () => {
    const answer = await post({ query: "{ policies(first: 1000000) { nodes { id } } }" });
    assert.ok(answer.body.errors, answer.text);
    assert.ok(["COST_EXCEEDED", "BAD_USER_INPUT"].includes(code(answer)));
  });

  test("2,000 representations", async () => {
    const r = Array.from({ length: 2_000 }, () => ({ __typename: "Policy", id: "policy_1" }));
    const answer = await post({ query: "query ($r: [_Any!]!) { _entities(representations: $r) { __typename } }", variables: { r } });
    assert.equal(code(answer), "COST_EXCEEDED");
  });
});

describe("documents that are wrong are told so in few words", () => {
  test("circular fragments", async () => {
    const answer = await post({ query: "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }" });
    assert.deepEqual([answer.status, code(answer)], [400, "GRAPHQL_VALIDATION_FAILED"]);
  });

  test("a fragment that spreads itself", async () => {
    const answer = await post({ query: "{ ...A } fragment A on Query { __typename ...A }" });
    assert.deepEqual([answer.status, code(answer)], [400, "GRAPHQL_VALIDATION_FAILED"]);
  });

  for (const [name, query] of [
    ["60 directives on one field", `{ __typename ${times(60, () => "@include(if: true)")} }`],
    ["60 unknown directives", `{ __typename ${times(60, (i) => `@nope${i}`)} }`],
    ["100 unknown fields", `{ ${times(100, (i) => `nope${i}`)} }`],
  ]) {
    test(`${name} give at most ten errors`, async () => {
      const { status, body, text } = await post({ query });
      assert.equal(status, 400);
      assert.ok(body.errors.length >= 1 && body.errors.length <= 10, `${body.errors.length} errors`);
      assert.ok(text.length < 10_000, `${text.length} characters`);
    });
  }

  test("ten times the same unknown directive is one error", async () => {
    const { body } = await post({ query: `{ __typename ${times(10, () => "@nope")} }` });
    assert.ok(body.errors.length <= 2, `${body.errors.length} errors`);
  });

  for (const [name, query] of [
    ["fields 10,000 deep", "{a".repeat(10_000)],
    ["lists 10,000 deep", `{ a(b: ${"[".repeat(10_000)}`],
    ["objects 10,000 deep", `{ a(b: ${"{c:".repeat(10_000)}`],
    ["types 10,000 deep", `query ($a: ${"[".repeat(10_000)}`],
    ["no document", ""],
    ["a lone brace", "{"],
    ["a schema instead of an operation", "type Query { a: Int }"],
  ]) {
    test(`${name}: refused with a code`, async () => {
      const answer = await post({ query });
      assert.equal(answer.status, 400);
      assert.notEqual(code(answer), "INTERNAL");
    });
  }

  test("two operations without a name of the one to run", async () => {
    const answer = await post({ query: "query A { __typename } query B { __typename }" });
    assert.deepEqual([answer.status, answer.body.data], [400, undefined]);
  });

  test("the name of an operation that is not there", async () => {
    const answer = await post({ query: "query A { __typename }", operationName: "B" });
    assert.deepEqual([answer.status, answer.body.data], [400, undefined]);
  });
});

describe("bodies that are no GraphQL request", () => {
  const query = JSON.stringify({ query: "{ __typename }" });
  const utf16 = Buffer.from(`\ufeff${query}`, "utf16le");
  const cases = {
    "100,000 nested arrays": [400, `{"query": "{ __typename }", "variables": {"a": ${"[".repeat(100_000)}${"]".repeat(100_000)}}}`],
    "100,000 nested objects, unclosed": [400, '{"a":'.repeat(100_000)],
    "a number of 100,000 digits": [400, `{"query": "{ __typename }", "variables": {"a": ${"9".repeat(100_000)}}}`],
    NaN: [400, '{"query": "{ __typename }", "variables": {"a": NaN}}'],
    Infinity: [400, '{"query": "{ __typename }", "variables": {"a": Infinity}}'],
    "a JSON string": [400, '"{ __typename }"'],
    "a JSON number": [400, "7"],
    "a JSON null": [400, "null"],
    "a JSON boolean": [400, "true"],
    "nothing": [400, ""],
    "a batch": [400, `[${query}, ${query}]`],
    "UTF-16": [400, utf16],
    "invalid UTF-8 around a query": [400, Buffer.concat([Buffer.from(query), Buffer.from([0xff])])],
    "invalid UTF-8 inside a query": [400, Buffer.from('{"query": "{ __typename } # \xff"}', "latin1")],
    "U+0000 in a variable": [400, '{"query": "query ($a: ID!) { policy(id: $a) { id } }", "variables": {"a": "\\u0000"}}'],
  };
  for (const [name, [status, body]] of Object.entries(cases)) {
    test(name, async () => {
      const answer = await post(body);
      assert.equal(answer.status, status, answer.text);
      assert.equal(code(answer), "BAD_USER_INPUT");
    });
  }

  test("a lone surrogate comes back as valid JSON in UTF-8", async () => {
    for (const body of ['{"query": "{ \\ud800 }"}', '{"query": "query ($a: ID!) { policy(id: $a) { id } }", "variables": {"a": "\\ud800"}}']) {
      const answer = await post(body);
      assert.ok(answer.status < 500, answer.text);
      assert.ok(answer.body.errors);
    }
  });

  const headers = {
    gzip: { "content-encoding": "gzip" },
    "UTF-16 by its charset": { "content-type": "application/json; charset=utf-16" },
    "an unknown charset": { "content-type": "application/json; charset=nonsense" },
    "a form": { "content-type": "application/x-www-form-urlencoded" },
    "plain text": { "content-type": "text/plain" },
    "multipart": { "content-type": "multipart/form-data; boundary=x" },
    "XML": { "content-type": "application/xml" },
  };
  const payloads = { gzip: gzipSync(query), "UTF-16 by its charset": utf16 };
  for (const [name, more] of Object.entries(headers)) {
    test(`${name} is answered 415`, async () => {
      const answer = await post(payloads[name] ?? query, more);
      assert.equal(answer.status, 415, answer.text);
    });
  }

  test("ten megabytes with their length are answered 413", async () => {
    const answer = await exchange([head(`Content-Length: ${TEN_MEGABYTES}`), Buffer.alloc(TEN_MEGABYTES, 32)], 10_000);
    assert.match(answer, /^HTTP\/1\.1 413 /);
  });

  test("ten megabytes in chunks are answered 413", async () => {
    const chunk = Buffer.concat([Buffer.from("f4240\r\n"), Buffer.alloc(1_000_000, 32), Buffer.from("\r\n")]);
    const answer = await exchange([head("Transfer-Encoding: chunked"), ...Array(10).fill(chunk), "0\r\n\r\n"], 10_000);
    assert.match(answer, /^HTTP\/1\.1 413 /);
  });

  test("a body that never ends is given up", async () => {
    const started = performance.now();
    await exchange([head("Content-Length: 100"), '{"query":'], 20_000);
    assert.ok(performance.now() - started < 19_000, "the connection was still open");
  });
});

describe("requests that a foreign page could send", () => {
  const foreign = { origin: "https://evil.example" };

  test("a mutation by GET is answered 405 with Allow", async () => {
    const answer = await get({ query: "mutation { __typename }" });
    assert.equal(answer.status, 405);
    assert.match(answer.headers.get("allow"), /POST/);
    assert.equal(answer.body.data, undefined);
  });

  test("an image element gets no data", async () => {
    const answer = await get(
      { query: "{ __typename }" },
      { accept: "image/avif,image/webp,*/*;q=0.8", "sec-fetch-mode": "no-cors", "sec-fetch-site": "cross-site" },
    );
    assert.ok([400, 403].includes(answer.status), `${answer.status}`);
    assert.doesNotMatch(answer.text, /"data"/);
  });

  for (const method of ["PUT", "DELETE", "PATCH"]) {
    test(`${method} is answered 405 with Allow`, async () => {
      const answer = await send({ method, headers: { accept: GRAPHQL_JSON } });
      assert.equal(answer.status, 405);
      assert.match(answer.headers.get("allow"), /GET.*POST|POST.*GET/);
    });
  }

  test("no foreign origin is allowed to read an answer", async () => {
    const preflight = await send({
      method: "OPTIONS",
      headers: { ...foreign, "access-control-request-method": "POST", "access-control-request-headers": "content-type" },
    });
    const answer = await post({ query: "{ __typename }" }, foreign);
    for (const { headers } of [preflight, answer]) {
      assert.equal(headers.get("access-control-allow-origin"), null);
      assert.equal(headers.get("access-control-allow-credentials"), null);
    }
  });
});

describe("the hardened server tells less", { skip: HARDENED ? false : "ESC_STRICT=1 turns it on" }, () => {
  test("introspection is closed to visitors", async () => {
    for (const query of ["{ __schema { queryType { name } } }", '{ __type(name: "Query") { name } }']) {
      const { body } = await post({ query });
      assert.equal(body.data?.__schema ?? body.data?.__type ?? null, null);
      assert.ok(body.errors);
    }
  });

  test("GraphiQL is closed to visitors", async () => {
    const response = await fetch(GRAPHQL, { headers: { accept: "text/html" } });
    assert.ok(response.status >= 400, `${response.status}`);
  });

  test("nothing is suggested, neither fields nor types nor arguments", async () => {
    for (const query of [
      "{ polcies { nodes { id } } }",
      "query ($a: Strin) { __typename }",
      "{ policies(frist: 1) { nodes { id } } }",
      "{ policies(first: 1) { nodes { ... on Polcy { id } } } }",
    ]) {
      assert.doesNotMatch((await post({ query })).text, /did you mean/i);
    }
  });

  test("no header names the software", async () => {
    const { headers } = await post({ query: "{ __typename }" });
    assert.equal(headers.get("server"), null);
    assert.equal(headers.get("x-powered-by"), null);
  });
});
