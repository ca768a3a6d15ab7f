/** Apollo Client: queries, automatic persisted queries, subscriptions over multipart HTTP and WebSocket. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { ApolloClient, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient } from "graphql-ws";
import { firstValueFrom, take, toArray } from "rxjs";
import WebSocket from "ws";

import { as, DEMO_PASSWORD, freshQuery, GRAPHQL, sha256, SOCKET } from "../support/server.mjs";

const CLOCK = gql`subscription Clock { serverTime }`;

function client(context, link) {
  const made = new ApolloClient({ link, cache: new InMemoryCache(), defaultOptions: { query: { fetchPolicy: "no-cache" } } });
  context.after(() => made.stop());
  return made;
}

/** The methods of all requests that a link makes, and whether each carried the document. */
function recording(log) {
  return (url, init) => {
    const query = init.method === "GET" ? new URL(url).searchParams.get("query") : JSON.parse(init.body).query;
    log.push(`${init.method} ${query ? "document" : "hash"}`);
    return fetch(url, init);
  };
}

function persistedClient(context, log) {
  const http = new HttpLink({ uri: GRAPHQL, fetch: recording(log) });
  return client(context, new PersistedQueryLink({ sha256, useGETForHashedQueries: true }).concat(http));
}

test("a connection is queried with variables", async (context) => {
  const query = gql`query Policies($n: Int!) { policies(first: $n) { nodes { id title } pageInfo { hasNextPage endCursor } } }`;
  const { data } = await client(context, new HttpLink({ uri: GRAPHQL })).query({ query, variables: { n: 2 } });
  assert.ok(data.policies.nodes.length <= 2 && data.policies.nodes[0].id);
});

test("a persisted query is asked for by hash, registered once, then found over GET", async (context) => {
  const query = gql(freshQuery());
  const log = [];
  const { data } = await persistedClient(context, log).query({ query });
  assert.equal(data.__typename, "Query");
  assert.deepEqual(log, ["GET hash", "POST document"]);
  const again = [];
  await persistedClient(context, again).query({ query });
  assert.deepEqual(again, ["GET hash"]);
});

test("a wrong hash ends in an error that the client understands", async (context) => {
  const http = new HttpLink({ uri: GRAPHQL });
  const lying = new PersistedQueryLink({ sha256: () => sha256(crypto.randomUUID()) }).concat(http);
  const failure = await client(context, lying).query({ query: gql(freshQuery()) }).catch((error) => error);
  assert.ok(CombinedGraphQLErrors.is(failure), String(failure));
  assert.equal(failure.errors[0].extensions.code, "BAD_USER_INPUT");
});

test("a mutation gives its payload and user errors", async (context) => {
  const mutation = gql`mutation SignIn($u: String!, $p: String!) {
    signIn(input: {username: $u, password: $p}) { session { accessToken } userErrors { code message field } }
  }`;
  const http = client(context, new HttpLink({ uri: GRAPHQL }));
  const right = await http.mutate({ mutation, variables: { u: "buyer", p: DEMO_PASSWORD } });
  assert.deepEqual(right.data.signIn.userErrors, []);
  const wrong = await http.mutate({ mutation, variables: { u: "buyer", p: "wrong" } });
  assert.equal(wrong.data.signIn.session, null);
  assert.equal(wrong.data.signIn.userErrors.length, 1);
});

test("a subscription runs over multipart HTTP", async (context) => {
  const observable = client(context, new HttpLink({ uri: GRAPHQL })).subscribe({ query: CLOCK });
  const results = await firstValueFrom(observable.pipe(take(2), toArray()));
  assert.ok(results.every(({ data, error }) => !error && Number.isFinite(Date.parse(data.serverTime))));
});

test("a subscription runs over WebSocket as the signed-in account", async (context) => {
  const socket = createClient({ url: SOCKET, webSocketImpl: WebSocket, connectionParams: () => as("buyer") });
  context.after(() => socket.dispose());
  const observable = client(context, new GraphQLWsLink(socket)).subscribe({ query: CLOCK });
  const { data } = await firstValueFrom(observable);
  assert.ok(Number.isFinite(Date.parse(data.serverTime)));
});
