/** The server under test (ESC_URL) and the committed contract (ESC_SCHEMA, default the repository's). */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const ESC_URL = (process.env.ESC_URL ?? "http://127.0.0.1:8000").replace(/\/$/, "");
export const GRAPHQL = `${ESC_URL}/graphql`;
export const SOCKET = GRAPHQL.replace(/^http/, "ws");
export const HARDENED = process.env.ESC_STRICT === "1" || process.env.ESC_ENV === "production";
export const DEMO_PASSWORD = "esc-demo-1";

export const JSON_TYPE = "application/json";
export const GRAPHQL_JSON = "application/graphql-response+json";

const schemaPath = process.env.ESC_SCHEMA ?? fileURLToPath(new URL("../../../schema/schema.graphql", import.meta.url));
export const committedSchema = () => readFileSync(schemaPath, "utf8");
export const committedSchemaPath = schemaPath;

/** One request, and its answer decoded where it is JSON. */
export async function send(init, query = "") {
  const response = await fetch(GRAPHQL + query, { signal: AbortSignal.timeout(20_000), ...init });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json");
  return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined };
}

export function post(body, headers = {}) {
  const encoded = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
  return send({ method: "POST", body: encoded, headers: { "content-type": JSON_TYPE, accept: GRAPHQL_JSON, ...headers } });
}

export function get(parameters, headers = {}) {
  return send({ headers: { accept: GRAPHQL_JSON, ...headers } }, `?${new URLSearchParams(parameters)}`);
}

/** A document's data; throws what the server said instead. */
export async function data(query, { variables, headers } = {}) {
  const { body, text } = await post({ query, variables }, headers);
  if (!body?.data || body.errors) throw new Error(`no clean answer to ${query}: ${text.slice(0, 500)}`);
  return body.data;
}

const sessions = new Map();

/** The headers of a demo account, signed in once per test file. */
export function as(username) {
  if (!sessions.has(username)) sessions.set(username, signIn(username));
  return sessions.get(username);
}

async function signIn(username) {
  const { signIn: payload } = await data(
    `mutation SignIn($u: String!, $p: String!) {
      signIn(input: {username: $u, password: $p}) { session { accessToken } userErrors { code message } }
    }`,
    { variables: { u: username, p: DEMO_PASSWORD } },
  );
  if (!payload.session) throw new Error(`${username} cannot sign in: ${JSON.stringify(payload.userErrors)}`);
  return { authorization: `Bearer ${payload.session.accessToken}` };
}

export async function anyPolicy() {
  const { policies } = await data("{ policies(first: 1) { nodes { id title } } }");
  if (!policies.nodes.length) throw new Error("the server has no policy: load the demo data first");
  return policies.nodes[0];
}

/** A document that no server has seen before, and so has no hash of. */
export const freshQuery = () => `query Fresh${crypto.randomUUID().replaceAll("-", "")} { __typename }`;

export async function sha256(text) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Buffer.from(digest).toString("hex");
}
