/** graphql-sse in distinct connections mode, by its client and by hand. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { createClient } from "graphql-sse";

import { as, GRAPHQL } from "../support/server.mjs";

const CLOCK = "subscription { serverTime }";

function client(context, options = {}) {
  const made = createClient({ url: GRAPHQL, retryAttempts: 0, ...options });
  context.after(() => made.dispose());
  return made;
}

/** Server-sent events of a response, comments left out; the stream is cancelled when the caller stops. */
async function* events(response) {
  let rest = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + chunk).replaceAll("\r\n", "\n").split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n").filter((line) => line && !line.startsWith(":"));
      if (lines.length) yield Object.fromEntries(lines.map((line) => line.split(/: ?(.*)/s, 2)));
    }
  }
}

async function first(results, count) {
  const found = [];
  for await (const result of results) if (found.push(result) === count) break;
  return found;
}

test("the client subscribes", async (context) => {
  const results = await first(client(context).iterate({ query: CLOCK }), 2);
  assert.ok(results.every((result) => Number.isFinite(Date.parse(result.data.serverTime))));
});

test("the client queries, and the stream completes by itself", async (context) => {
  const results = await first(client(context).iterate({ query: "{ __typename }" }), 2);
  assert.deepEqual(results, [{ data: { __typename: "Query" } }]);
});

test("the client's headers say who asks", async (context) => {
  const signedIn = client(context, { headers: await as("buyer") });
  assert.deepEqual(await first(signedIn.iterate({ query: "{ viewer { username } }" }), 1), [
    { data: { viewer: { username: "buyer" } } },
  ]);
});

test("the client is told of a wrong document", async (context) => {
  const [{ errors }] = await first(client(context).iterate({ query: "subscription { nope }" }), 1);
  assert.match(errors[0].message, /nope/);
  assert.equal(errors[0].extensions.code, "GRAPHQL_VALIDATION_FAILED");
});

test("a raw POST streams next events", async () => {
  const response = await fetch(GRAPHQL, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream" },
    body: JSON.stringify({ query: CLOCK }),
  });
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type"), /^text\/event-stream/);
  const [one, two] = await first(events(response), 2);
  assert.deepEqual([one.event, two.event], ["next", "next"]);
  assert.ok("serverTime" in JSON.parse(one.data).data);
});

test("a raw GET, as EventSource sends it, streams next events", async () => {
  const response = await fetch(`${GRAPHQL}?${new URLSearchParams({ query: CLOCK })}`, {
    headers: { accept: "text/event-stream" },
  });
  assert.equal(response.status, 200);
  const [event] = await first(events(response), 1);
  assert.equal(event.event, "next");
});

test("a query's stream ends with a complete event", async () => {
  const response = await fetch(`${GRAPHQL}?${new URLSearchParams({ query: "{ __typename }" })}`, {
    headers: { accept: "text/event-stream" },
  });
  const kinds = [];
  for await (const event of events(response)) kinds.push(event.event);
  assert.deepEqual(kinds, ["next", "complete"]);
});
