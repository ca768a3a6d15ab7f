/** The tools that read the committed schema: graphql-js, graphql-eslint, codegen, relay-compiler. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";

import { generate } from "@graphql-codegen/cli";
import graphqlEslint from "@graphql-eslint/eslint-plugin";
import { ESLint } from "eslint";
import { buildClientSchema, buildSchema, findBreakingChanges, getIntrospectionQuery, validateSchema } from "graphql";

import { as, committedSchema, committedSchemaPath, data } from "../support/server.mjs";

const sdl = committedSchema();
const schema = buildSchema(sdl);

function workshop(context) {
  const folder = mkdtempSync(join(tmpdir(), "esc-conformance-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("graphql-js builds the committed schema without one error", () => {
  assert.deepEqual(validateSchema(schema), []);
});

test("the server keeps every promise of the committed schema", async () => {
  const introspection = await data(getIntrospectionQuery({ directiveIsRepeatable: true }), { headers: await as("admin") });
  assert.deepEqual(findBreakingChanges(schema, buildClientSchema(introspection)), []);
});

describe("graphql-eslint", () => {
  const { "flat/schema-recommended": recommended, "flat/schema-relay": relay } = graphqlEslint.configs;
  const rules = {
    ...recommended.rules,
    ...relay.rules,
    // payloads, connections and value types have no identity
    "@graphql-eslint/strict-id-in-types": "off",
    // a ranked search pages forward only, which the specification allows
    "@graphql-eslint/relay-arguments": ["error", { includeBoth: false }],
    // connections offer `nodes` beside `edges`, and a short list needs no pages
    "@graphql-eslint/relay-edge-types": [
      "error",
      { withEdgeSuffix: true, shouldImplementNode: true, listTypeCanWrapOnlyEdgeType: false },
    ],
    "@graphql-eslint/require-description": [
      "error",
      {
        types: true,
        rootField: true,
        DirectiveDefinition: true,
        FieldDefinition: true,
        InputValueDefinition: true,
        EnumValueDefinition: true,
      },
    ],
  };

  for (const [rule, setting] of Object.entries(rules).filter(([, value]) => value !== "off")) {
    test(rule.split("/").at(-1), async () => {
      const eslint = new ESLint({
        overrideConfigFile: true,
        overrideConfig: {
          files: ["**/*.graphql"],
          plugins: { "@graphql-eslint": graphqlEslint },
          languageOptions: {
            parser: graphqlEslint.parser,
            parserOptions: { graphQLConfig: { schema: committedSchemaPath } },
          },
          rules: { [rule]: setting },
        },
      });
      const [{ messages }] = await eslint.lintText(sdl, { filePath: "schema.graphql" });
      const told = messages.map(({ line, message }) => `${line}: ${message}`);
      assert.deepEqual(told.slice(0, 20), [], `${told.length} findings`);
    });
  }
});

describe("graphql-codegen", () => {
  const operations = `
    query Library($first: Int!) { policies(first: $first) { nodes { id title } pageInfo { hasNextPage endCursor } totalCount } }
    subscription Clock { serverTime }
  `;
  const run = (documents, output) =>
    generate({ schema: committedSchemaPath, documents, generates: output, silent: true, errorsOnly: true }, false);

  test("typescript: every type of the schema", async () => {
    const [{ content }] = await run(operations, { "types.ts": { plugins: ["typescript"] } });
    for (const name of ["Policy", "PolicyConnection", "UserError"]) assert.match(content, new RegExp(`export type ${name} =`));
  });

  test("client preset: typed documents", async () => {
    const files = await run(operations, { "gql/": { preset: "client" } });
    const { content } = files.find(({ filename }) => filename.endsWith("graphql.ts"));
    assert.match(content, /export const LibraryDocument/);
  });

  test("client preset: a misspelt field is refused", async () => {
    const misspelt = operations.replace("title", "titel");
    await assert.rejects(run(misspelt, { "gql/": { preset: "client" } }), /titel/);
  });
});

describe("relay-compiler", () => {
  const binary = createRequire(import.meta.url).resolve("relay-compiler/cli.js");

  async function compile(context, source) {
    const folder = workshop(context);
    mkdirSync(join(folder, "src", "made"), { recursive: true });
    writeFileSync(join(folder, "schema.graphql"), sdl);
    writeFileSync(join(folder, "src", "Library.js"), source);
    const config = { src: "./src", schema: "./schema.graphql", language: "javascript", artifactDirectory: "./src/made" };
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "library", relay: config }));
    await promisify(execFile)(process.execPath, [binary], { cwd: folder });
    return readdirSync(join(folder, "src", "made")).sort();
  }

  test("a paginated connection and a refetchable node compile", async (context) => {
    const made = await compile(
      context,
      `
      graphql\`query LibraryQuery { ...Library_policies }\`;
      graphql\`
        fragment Library_policies on Query
        @argumentDefinitions(first: {type: "Int", defaultValue: 10}, after: {type: "String"})
        @refetchable(queryName: "LibraryPageQuery") {
          policies(first: $first, after: $after) @connection(key: "Library_policies") { edges { node { id ...Library_policy } } }
        }\`;
      graphql\`fragment Library_policy on Policy @refetchable(queryName: "LibraryPolicyQuery") { id title }\`;
      graphql\`subscription LibraryClockSubscription { serverTime }\`;
      `,
    );
    assert.deepEqual(made, [
      "LibraryClockSubscription.graphql.js",
      "LibraryPageQuery.graphql.js",
      "LibraryPolicyQuery.graphql.js",
      "LibraryQuery.graphql.js",
      "Library_policies.graphql.js",
      "Library_policy.graphql.js",
    ]);
  });

  test("a misspelt field does not", async (context) => {
    await assert.rejects(compile(context, "graphql`query LibraryQuery { polices { __typename } }`;"), /polices/);
  });
});
