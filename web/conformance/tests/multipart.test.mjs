/** Subscriptions over multipart HTTP as Apollo's router asks for them, read by hand. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { GRAPHQL } from "../support/server.mjs";

const ACCEPT = "multipart/mixed;subscriptionSpec=1.0, application/json";

async function subscribe(query) {
  return fetch(GRAPHQL, {
    method: "POST",
    headers: { "content-type": "application/json", accept: ACCEPT },
    body: JSON.stringify({ query }),
  });
}

async function* parts(response) {
  const boundary = /boundary="?([^";]+)/.exec(response.headers.get("content-type"))[1];
  let rest = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const pieces = (rest + chunk).split(`--${boundary}`);
    rest = pieces.pop();
    for (const piece of pieces) {
      const [head, ...body] = piece.split("\r\n\r\n");
      if (body.length) yield { head, body: JSON.parse(body.join("\r\n\r\n")) };
    }
  }
}

test("every event is a part with a payload", async () => {
  const response = await subscribe("subscription { serverTime }");
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type"), /^multipart\/mixed/);
  const found = [];
  for await (const { head, body } of parts(response)) {
    assert.match(head, /content-type: application\/json/i);
    if (body.payload && found.push(body.payload.data.serverTime) === 2) break;
  }
  assert.ok(Date.parse(found[1]) > Date.parse(found[0]));
});

test("a query under the same Accept is plain JSON or one part", async () => {
  const response = await subscribe("{ __typename }");
  assert.equal(response.status, 200);
  assert.match(await response.text(), /"__typename":\s*"Query"/);
});

test("a wrong document is refused before any part", async () => {
  const response = await subscribe("subscription { nope }");
  const text = await response.text();
  assert.match(text, /nope/);
  assert.doesNotMatch(text, /serverTime/);
});
