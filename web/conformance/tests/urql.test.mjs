/** urql: queries, persisted queries, subscriptions over WebSocket and over its own fetch. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { cacheExchange, Client, fetchExchange, gql, subscriptionExchange } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

import { freshQuery, GRAPHQL, SOCKET } from "../support/server.mjs";

const CLOCK = gql`subscription Clock { serverTime }`;

function ticks(client, count) {
  return new Promise((resolve, reject) => {
    const found = [];
    const { unsubscribe } = client.subscription(CLOCK, {}).subscribe(({ data, error }) => {
      if (error) reject(error);
      if (data && found.push(data.serverTime) === count) {
        resolve(found);
        setTimeout(() => unsubscribe());
      }
    });
  });
}

test("a query is answered, and a second time from the client's cache", async () => {
  const client = new Client({ url: GRAPHQL, exchanges: [cacheExchange, fetchExchange], preferGetMethod: false });
  const query = gql`query Policies { policies(first: 1) { nodes { id title } } }`;
  const { data, error } = await client.query(query, {});
  assert.equal(error, undefined);
  assert.equal(data.policies.nodes.length, 1);
});

test("an error carries its code", async () => {
  const client = new Client({ url: GRAPHQL, exchanges: [fetchExchange], preferGetMethod: false });
  const { error } = await client.query(gql`query Wrong { nope }`, {});
  assert.equal(error.graphQLErrors[0].extensions.code, "GRAPHQL_VALIDATION_FAILED");
});

test("a persisted query is registered once and then found over GET", async () => {
  const query = gql(freshQuery());
  for (const expected of [["GET hash", "GET document"], ["GET hash"]]) {
    const log = [];
    const client = new Client({
      url: GRAPHQL,
      exchanges: [persistedExchange({ preferGetForPersistedQueries: true }), fetchExchange],
      fetch: (url, init) => {
        const text = init.method === "GET" ? new URL(url).searchParams.get("query") : JSON.parse(init.body).query;
        log.push(`${init.method} ${text ? "document" : "hash"}`);
        return fetch(url, init);
      },
    });
    const { data, error } = await client.query(query, {});
    assert.equal(error, undefined);
    assert.equal(data.__typename, "Query");
    assert.deepEqual(log, expected);
  }
});

test("a subscription runs over WebSocket", async (context) => {
  const socket = createClient({ url: SOCKET, webSocketImpl: WebSocket });
  context.after(() => socket.dispose());
  const forwardSubscription = ({ query, variables }) => ({
    subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
  });
  const client = new Client({ url: GRAPHQL, exchanges: [subscriptionExchange({ forwardSubscription })] });
  assert.equal((await ticks(client, 2)).length, 2);
});

test("a subscription runs over urql's own fetch", async () => {
  const client = new Client({ url: GRAPHQL, exchanges: [fetchExchange], fetchSubscriptions: true, preferGetMethod: false });
  assert.equal((await ticks(client, 2)).length, 2);
});
