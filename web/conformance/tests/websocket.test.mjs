/** graphql-transport-ws: the graphql-ws client, and raw sockets for what a good client never does. */
import assert from "node:assert/strict";
import { on, once } from "node:events";
import { test } from "node:test";

import { createClient } from "graphql-ws";
import WebSocket from "ws";

import { anyPolicy, as, ESC_URL, SOCKET } from "../support/server.mjs";

const PROTOCOL = "graphql-transport-ws";

function client(context, options = {}) {
  const made = createClient({ url: SOCKET, webSocketImpl: WebSocket, retryAttempts: 0, ...options });
  context.after(() => made.dispose());
  return made;
}

async function first(results, count) {
  const found = [];
  for await (const result of results) if (found.push(result) === count) break;
  return found;
}

/** A raw socket that hands out its messages in order; waiting for one on a socket that closes fails. */
async function raw(context, { headers, init = true } = {}) {
  const socket = new WebSocket(SOCKET, PROTOCOL, { headers });
  context.after(() => socket.terminate());
  const messages = on(socket, "message", { close: ["close"] });
  const closed = once(socket, "close").then(([code, reason]) => ({ code, reason: String(reason) }));
  await once(socket, "open");
  const next = async () => {
    const { value, done } = await messages.next();
    if (done) assert.fail(`closed with ${JSON.stringify(await closed)}`);
    return JSON.parse(value[0]);
  };
  const say = (message) => socket.send(typeof message === "string" ? message : JSON.stringify(message));
  if (init) {
    say({ type: "connection_init" });
    assert.equal((await next()).type, "connection_ack");
  }
  return { say, next, closed };
}

async function closesWith(context, code, message, options) {
  const { say, closed } = await raw(context, options);
  if (message !== undefined) say(message);
  assert.equal((await closed).code, code);
}

const subscribe = (id, query, more = {}) => ({ id, type: "subscribe", payload: { query, ...more } });

test("a query over the socket gives one result and completes", async (context) => {
  const { id, title } = await anyPolicy();
  const query = "query Named($id: ID!) { policy(id: $id) { title } }";
  const results = client(context).iterate({ query, variables: { id }, operationName: "Named" });
  assert.deepEqual(await first(results, 2), [{ data: { policy: { title } } }]);
});

test("the clock ticks, once a second", async (context) => {
  const results = await first(client(context).iterate({ query: "subscription { serverTime }" }), 3);
  const times = results.map((result) => Date.parse(result.data.serverTime));
  assert.ok(times.every(Number.isFinite));
  assert.ok(times[2] > times[1] && times[1] > times[0]);
});

test("after complete no more is sent, and the socket stays usable", async (context) => {
  const { say, next } = await raw(context);
  say(subscribe("clock", "subscription { serverTime }"));
  assert.equal((await next()).type, "next");
  say({ id: "clock", type: "complete" });
  await new Promise((resolve) => setTimeout(resolve, 2_200));
  say(subscribe("query", "{ __typename }"));
  let message = await next();
  while (message.id === "clock") message = await next();
  assert.deepEqual(message, { id: "query", type: "next", payload: { data: { __typename: "Query" } } });
  assert.deepEqual(await next(), { id: "query", type: "complete" });
});

test("two subscriptions share a socket", async (context) => {
  const shared = client(context);
  const query = "subscription { serverTime }";
  const both = await Promise.all([first(shared.iterate({ query }), 2), first(shared.iterate({ query }), 2)]);
  assert.deepEqual(both.map((results) => results.length), [2, 2]);
});

test("the token of connection_init says who asks", async (context) => {
  const signedIn = client(context, { connectionParams: await as("buyer") });
  const results = await first(signedIn.iterate({ query: "{ viewer { username } }" }), 1);
  assert.deepEqual(results, [{ data: { viewer: { username: "buyer" } } }]);
});

test("a bad token is refused with 4403", (context) =>
  closesWith(context, 4403, { type: "connection_init", payload: { authorization: "Bearer nonsense" } }, { init: false }));

test("a socket that never says connection_init is closed with 4408 within ten seconds", async (context) => {
  const started = performance.now();
  await closesWith(context, 4408, undefined, { init: false });
  assert.ok(performance.now() - started < 10_000);
});

test("a second connection_init closes with 4429", (context) => closesWith(context, 4429, { type: "connection_init" }));

test("a subscription before connection_init closes with 4401", (context) =>
  closesWith(context, 4401, subscribe("1", "{ __typename }"), { init: false }));

test("a second subscription of the same id closes with 4409", async (context) => {
  const { say, closed } = await raw(context);
  say(subscribe("1", "subscription { serverTime }"));
  say(subscribe("1", "subscription { serverTime }"));
  assert.equal((await closed).code, 4409);
});

for (const [name, message] of [
  ["an array", []],
  ["a number", "7"],
  ["null", "null"],
  ["text that is not JSON", "hello"],
  ["a message of an unknown type", { type: "nonsense" }],
  ["a message without a type", {}],
  ["a subscription without an id", { type: "subscribe", payload: { query: "{ __typename }" } }],
  ["a subscription without a query", { type: "subscribe", id: "1", payload: {} }],
]) {
  test(`${name} closes with 4400`, (context) => closesWith(context, 4400, message));
}

test("a ping is answered by a pong", async (context) => {
  const { say, next } = await raw(context);
  say({ type: "ping" });
  assert.equal((await next()).type, "pong");
});

for (const [name, query] of [
  ["a syntax error", "{"],
  ["an unknown field", "{ nope }"],
]) {
  test(`${name} is an error message, and the socket stays open`, async (context) => {
    const { say, next } = await raw(context);
    say(subscribe("wrong", query));
    const answer = await next();
    assert.deepEqual([answer.id, answer.type], ["wrong", "error"]);
    assert.equal(typeof answer.payload[0].message, "string");
    say(subscribe("right", "{ __typename }"));
    assert.equal((await next()).type, "next");
  });
}

test("a page of a foreign origin gets no socket", async () => {
  const socket = new WebSocket(SOCKET, PROTOCOL, { origin: "https://evil.example" });
  const outcome = await new Promise((resolve) => {
    socket.on("open", () => resolve("open"));
    socket.on("error", () => {});
    socket.on("unexpected-response", (_, response) => resolve(response.statusCode));
  });
  socket.terminate();
  assert.equal(outcome, 403);
});

test("a page of our own origin gets one", (context) => raw(context, { headers: { origin: ESC_URL } }));

test("the legacy protocol is not spoken", async () => {
  const socket = new WebSocket(SOCKET, "graphql-ws");
  const closed = await new Promise((resolve) => {
    socket.on("error", () => resolve("refused"));
    socket.on("close", resolve);
  });
  assert.ok(["refused", 4406].includes(closed), `closed with ${closed}`);
});

test("a message of ten megabytes ends the socket, not the server", async (context) => {
  const { say, closed } = await raw(context);
  say(subscribe("1", `{ __typename } # ${"x".repeat(10_000_000)}`));
  const { code } = await closed;
  assert.ok([1009, 1006].includes(code), `closed with ${code}`);
  await raw(context);
});
