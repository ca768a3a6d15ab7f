/** A subgraph among others: both composition libraries, a real gateway, entity errors and ftv1 traces. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { composeServices as apolloCompose } from "@apollo/composition";
import { ApolloGateway, RemoteGraphQLDataSource } from "@apollo/gateway";
import { ApolloServer } from "@apollo/server";
import { startStandaloneServer } from "@apollo/server/standalone";
import { buildSubgraphSchema } from "@apollo/subgraph";
import { Trace } from "@apollo/usage-reporting-protobuf";
import { composeServices as guildCompose, compositionHasErrors } from "@theguild/federation-composition";
import { parse } from "graphql";

import { anyPolicy, as, data, GRAPHQL, post } from "../support/server.mjs";

/** A neighbour that knows a remark for every policy, and nothing else of it. */
const REMARKS = parse(`
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key"])
  type Policy @key(fields: "id") { id: ID! remark: String }
  type Query { remarkedPolicy(id: ID!): Policy }
`);
const remarks = {
  Policy: { remark: ({ id }) => `remark on ${id}` },
  Query: { remarkedPolicy: (_, { id }) => ({ id }) },
};

let sdl;
let services;
before(async () => {
  ({ _service: { sdl } } = await data("{ _service { sdl } }", { headers: await as("admin") }));
  services = [
    { name: "esc", url: GRAPHQL, typeDefs: parse(sdl) },
    { name: "remarks", url: "http://127.0.0.1:1/graphql", typeDefs: REMARKS },
  ];
});

test("the subgraph declares federation 2 and an entity for policies", () => {
  assert.match(sdl, /specs\.apollo\.dev\/federation\/v2\./);
  assert.match(sdl, /type Policy[^{]*@key\(fields: "id"\)/);
});

test("Apollo's composition accepts it, alone and beside another subgraph", () => {
  for (const list of [services.slice(0, 1), services]) {
    const { errors, supergraphSdl } = apolloCompose(list);
    assert.equal(errors, undefined, errors?.join("\n"));
    assert.match(supergraphSdl, /join__Graph/);
  }
});

test("The Guild's composition accepts it, alone and beside another subgraph", () => {
  for (const list of [services.slice(0, 1), services]) {
    const result = guildCompose(list);
    assert.ok(!compositionHasErrors(result), result.errors?.join("\n"));
    assert.match(result.supergraphSdl, /join__Graph/);
  }
});

test("the access rules reach the supergraph", () => {
  assert.match(apolloCompose(services).supergraphSdl, /@access\(rule: "/);
});

let gateway;
async function gatewayServer() {
  const neighbour = new ApolloServer({ schema: buildSubgraphSchema({ typeDefs: REMARKS, resolvers: remarks }) });
  const { url } = await startStandaloneServer(neighbour, { listen: { host: "127.0.0.1", port: 0 } });
  const { supergraphSdl } = apolloCompose([services[0], { ...services[1], url }]);
  const server = new ApolloServer({
    gateway: new ApolloGateway({ supergraphSdl, buildService: (service) => new RemoteGraphQLDataSource(service) }),
  });
  await server.start();
  return { server, neighbour };
}

async function ask(query, variables) {
  gateway ??= gatewayServer();
  const { body } = await (await gateway).server.executeOperation({ query, variables });
  return JSON.parse(JSON.stringify(body.singleResult));
}

after(async () => {
  if (!gateway) return;
  const { server, neighbour } = await gateway;
  await Promise.all([server.stop(), neighbour.stop()]);
});

test("a gateway answers one query across both: our policies, the neighbour's remarks", async () => {
  const { id, title } = await anyPolicy();
  const { data: found, errors } = await ask("{ policies(first: 1) { nodes { id title remark } } }");
  assert.equal(errors, undefined, JSON.stringify(errors));
  assert.deepEqual(found.policies.nodes, [{ id, title, remark: `remark on ${id}` }]);
});

test("a gateway fetches our entity for the neighbour's key", async () => {
  const { id, title } = await anyPolicy();
  const { data: found, errors } = await ask("query ($id: ID!) { remarkedPolicy(id: $id) { title remark } }", { id });
  assert.equal(errors, undefined, JSON.stringify(errors));
  assert.deepEqual(found.remarkedPolicy, { title, remark: `remark on ${id}` });
});

const entities = (representations) =>
  post({
    query: "query ($r: [_Any!]!) { _entities(representations: $r) { __typename ... on Policy { title } } }",
    variables: { r: representations },
  });

test("an entity is resolved by its key, and an unknown id is null", async () => {
  const { id, title } = await anyPolicy();
  const unknown = `policy_${"0".repeat(31)}f`;
  const { body } = await entities([
    { __typename: "Policy", id },
    { __typename: "Policy", id: unknown },
  ]);
  assert.deepEqual(body, { data: { _entities: [{ __typename: "Policy", title }, null] } });
});

for (const [name, representation, told] of [
  ["an unknown type", { __typename: "NoSuchType", id: "1" }, /NoSuchType.*not an entity/],
  ["a missing __typename", { id: "1" }, /lacks __typename/],
  ["a missing key", { __typename: "Policy" }, /Policy.*lacks its key: id/],
]) {
  test(`${name} is named in the error, which hurts no neighbour`, async () => {
    const { id, title } = await anyPolicy();
    const { body } = await entities([representation, { __typename: "Policy", id }]);
    assert.match(body.errors[0].message, told);
    assert.equal(body.errors[0].extensions.code, "BAD_USER_INPUT");
    assert.deepEqual(body.data._entities, [null, { __typename: "Policy", title }]);
  });
}

test("a router that asks for ftv1 gets a trace, and nobody else does", async () => {
  const query = "{ policies(first: 1) { nodes { title } } }";
  const { body } = await post({ query }, { ...(await as("admin")), "apollo-federation-include-trace": "ftv1" });
  const trace = Trace.decode(Buffer.from(body.extensions.ftv1, "base64"));
  assert.ok(Number(trace.durationNs) > 0);
  assert.deepEqual(trace.root.child.map((child) => child.responseName), ["policies"]);
  assert.equal((await post({ query })).body.extensions?.ftv1, undefined);
});
