/**
 * A demonstration of federation: a gateway over the platform and a neighbour that adds a remark to every policy.
 * ESC_SDL is the file of the platform's federated SDL, ESC_URL the platform's GraphQL address.
 */
import { readFileSync } from "node:fs";

import { composeServices } from "@apollo/composition";
import { ApolloGateway, RemoteGraphQLDataSource } from "@apollo/gateway";
import { ApolloServer } from "@apollo/server";
import { startStandaloneServer } from "@apollo/server/standalone";
import { buildSubgraphSchema } from "@apollo/subgraph";
import { parse } from "graphql";

const REMARKS = parse(`
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key"])
  type Policy @key(fields: "id") { id: ID! remark: String }
`);
const PASSED_ON = ["authorization", "accept-language"];

class Platform extends RemoteGraphQLDataSource {
  willSendRequest({ request, context }) {
    for (const name of PASSED_ON) if (context.headers?.[name]) request.http.headers.set(name, context.headers[name]);
  }
}

const neighbour = await startStandaloneServer(
  new ApolloServer({
    schema: buildSubgraphSchema({
      typeDefs: REMARKS,
      resolvers: { Policy: { remark: ({ id }) => `remark on ${id}` } },
    }),
  }),
  { listen: { host: "127.0.0.1", port: 0 } },
);
const { supergraphSdl, errors } = composeServices([
  { name: "esc", url: process.env.ESC_URL, typeDefs: parse(readFileSync(process.env.ESC_SDL, "utf8")) },
  { name: "remarks", url: neighbour.url, typeDefs: REMARKS },
]);
if (errors) throw new AggregateError(errors, errors.join("\n"));
const gateway = new ApolloGateway({ supergraphSdl, buildService: (service) => new Platform(service) });
const { url } = await startStandaloneServer(new ApolloServer({ gateway }), {
  context: async ({ req }) => ({ headers: req.headers }),
  listen: { host: "0.0.0.0", port: Number(process.env.PORT ?? 4000) },
});
console.log(`gateway ${url}`);
