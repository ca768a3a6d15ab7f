// The best GraphQL server of Node, on the platform's database: fastify, mercurius with its compiler on, one process.
// It answers the operations of bench/workloads.py as the platform does, byte for byte but for spaces, without access
// rules beyond "is it published". DATABASE_URL, REDIS_URL and PORT come from bench/arena.py.
import { createHash, randomUUID } from "node:crypto";
import fastify from "fastify";
import mercurius from "mercurius";
import postgres from "postgres";

const POOL = 10;
const PAGE = 20;

const schema = `
  type Category { name: String! }
  type District { name: String! }
  type PageInfo { endCursor: String }
  type Policy {
    id: ID! title: String! issuer: String! documentNo: String level: String! body: String! source: String!
    viewCount: Int! publishedAt: String!
  }
  type Store {
    id: ID! name: String! kind: String! rating: Float followerCount: Int! district: District
    products(first: Int): ProductConnection!
  }
  type Product {
    id: ID! name: String! price: String status: String! orderCount: Int! category: Category store: Store
  }
  type ProductConnection { nodes: [Product!]! pageInfo: PageInfo! }
  type StoreConnection { nodes: [Store!]! pageInfo: PageInfo! }
  type Ballot { id: ID! receipt: String! }
  type UserError { code: String! }
  type BallotCastPayload { ballot: Ballot userErrors: [UserError!]! }
  type Round { id: ID! }
  type Candidate { id: ID! }
  type CandidateTally { candidate: Candidate! votes: Int rank: Int }
  type Tally { round: Round! ballotCount: Int candidates: [CandidateTally!]! }
  input BallotCastInput { roundId: ID! choices: [ID!]! }
  input TallyBumpInput { roundId: ID! }
  type TallyBumpPayload { tally: Tally userErrors: [UserError!]! }
  type Query {
    policy(id: ID!): Policy
    products(first: Int, after: String): ProductConnection!
    stores(first: Int, after: String): StoreConnection!
  }
  type Mutation {
    ballotCast(input: BallotCastInput!): BallotCastPayload
    tallyBump(input: TallyBumpInput!): TallyBumpPayload
  }
  type Subscription { tallyChanged(roundId: ID!): Tally }
`;

// Moments stay texts: a Date would lose the microseconds that a cursor needs.
const sql = postgres(process.env.DATABASE_URL, {
  max: POOL,
  types: { moment: { to: 1184, from: [1184], serialize: String, parse: isoOf } },
});

function isoOf(text) {
  const [day, time] = text.split(" ");
  const [clock, fraction] = time.slice(0, -3).split(".");
  return `${day}T${clock}${fraction ? `.${fraction.padEnd(6, "0")}` : ""}+00:00`;
}

const keyOf = (id) => id.slice(id.lastIndexOf("_") + 1);
const cursorOf = (row) =>
  row ? Buffer.from(JSON.stringify(["newest", row.moment, row.key])).toString("base64url") : null;
const startOf = (cursor) => JSON.parse(Buffer.from(cursor, "base64url").toString()).slice(1);
const pageInfo = ({ nodes }) => ({ endCursor: cursorOf(nodes[nodes.length - 1]) });

const PRODUCT = sql`id AS key, published_at AS moment, 'product_' || replace(id::text, '-', '') AS id, name, price,
  state AS status, order_count AS "orderCount", category_code, store_id`;
const STORE = sql`id AS key, published_at AS moment, 'store_' || replace(id::text, '-', '') AS id, name, kind,
  rating::float8 AS rating, follower_count AS "followerCount", district_code`;

const resolvers = {
  ProductConnection: { pageInfo },
  StoreConnection: { pageInfo },
  Query: {
    async policy(_root, { id }) {
      const [row] = await sql`SELECT 'policy_' || replace(id::text, '-', '') AS id, title, issuer,
        document_no AS "documentNo", level, body, source, view_count AS "viewCount", published_at AS "publishedAt"
        FROM policy WHERE id = ${keyOf(id)} AND state = 'PUBLISHED'`;
      return row;
    },
    async products(_root, { first, after }) {
      const [moment, key] = after ? startOf(after) : [];
      const start = after ? sql`AND (published_at, id) < (${moment}, ${key})` : sql``;
      return { nodes: await sql`SELECT ${PRODUCT} FROM product WHERE state = 'PUBLISHED' ${start}
        ORDER BY published_at DESC, id DESC LIMIT ${first ?? PAGE}` };
    },
    async stores(_root, { first, after }) {
      const [moment, key] = after ? startOf(after) : [];
      const start = after ? sql`AND (published_at, id) < (${moment}, ${key})` : sql``;
      return { nodes: await sql`SELECT ${STORE} FROM store WHERE state = 'PUBLISHED' ${start}
        ORDER BY published_at DESC, id DESC LIMIT ${first ?? PAGE}` };
    },
  },
};

// A gateway has verified the token; its claims say who votes.
function accountOf({ reply }) {
  const token = reply.request.headers.authorization.slice("Bearer ".length);
  return JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString()).sub;
}

resolvers.Mutation = {
  // One statement checks the round, claims the account's right for the day and keeps the ballot.
  async ballotCast(_root, { input: { roundId, choices } }, context) {
    const [round, ballot, now] = [keyOf(roundId), randomUUID(), new Date().toISOString()];
    const claimant = createHash("sha256").update(accountOf(context)).digest();
    const keys = choices.map(keyOf);
    const receipt = createHash("sha256").update([ballot, ...keys].join()).digest("hex");
    try {
      const cast = await sql`WITH round AS (SELECT id FROM bench_round
          WHERE id = ${round} AND opens_at <= ${now} AND closes_at > ${now}),
        claim AS (INSERT INTO bench_claim SELECT id, ${claimant}, ${now.slice(0, 10)} FROM round)
        INSERT INTO bench_ballot SELECT ${ballot}, id, ${keys}::uuid[], ${receipt}, ${now}, 0 FROM round RETURNING id`;
      if (cast.length === 0) return { ballot: null, userErrors: [{ code: "NOT_FOUND" }] };
      return { ballot: { id: `ballot_${ballot.replaceAll("-", "")}`, receipt }, userErrors: [] };
    } catch (error) {
      if (error.code !== "23505") throw error;
      return { ballot: null, userErrors: [{ code: "ALREADY_EXISTS" }] };
    }
  },
  // The tally is read once for all who follow it.
  async tallyBump(_root, { input: { roundId } }, { pubsub }) {
    const key = keyOf(roundId);
    const [round] = await sql`UPDATE bench_round SET ballot_count = ballot_count + 1 WHERE id = ${key}
      RETURNING ballot_count`;
    const rows = await sql`SELECT candidate_id, votes FROM bench_tally WHERE round_id = ${key} ORDER BY votes DESC`;
    const candidates = rows.map((row, place) => ({
      candidate: { id: `contest_project_${row.candidate_id.replaceAll("-", "")}` },
      votes: row.votes,
      rank: place + 1,
    }));
    const tally = { round: { id: roundId }, ballotCount: round.ballot_count, candidates };
    await pubsub.publish({ topic: key, payload: { tallyChanged: tally } });
    return { tally, userErrors: [] };
  },
};

resolvers.Subscription = {
  tallyChanged: { subscribe: (_root, { roundId }, { pubsub }) => pubsub.subscribe(keyOf(roundId)) },
};

async function byKey(queries, column, fetch) {
  const rows = await fetch([...new Set(queries.map(({ obj }) => obj[column]).filter((key) => key !== null))]);
  const found = new Map(rows.map((row) => [row.key, row]));
  return queries.map(({ obj }) => found.get(obj[column]) ?? null);
}

const loader = (load) => ({ loader: load, opts: { cache: false } });

const loaders = {
  Product: {
    category: loader((queries) =>
      byKey(queries, "category_code", (keys) => sql`SELECT code AS key, name FROM service_category
        WHERE code = ANY(${keys})`),
    ),
    store: loader((queries) =>
      byKey(queries, "store_id", (keys) => sql`SELECT ${STORE} FROM store
        WHERE id = ANY(${keys}) AND state = 'PUBLISHED'`),
    ),
  },
  Store: {
    district: loader((queries) =>
      byKey(queries, "district_code", (keys) => sql`SELECT code AS key, name FROM district WHERE code = ANY(${keys})`),
    ),
    products: loader(async (queries) => {
      const keys = queries.map(({ obj }) => obj.key);
      const rows = await sql`SELECT each.* FROM unnest(${keys}::uuid[]) AS parent(id), LATERAL (SELECT ${PRODUCT}
        FROM product WHERE store_id = parent.id AND state = 'PUBLISHED'
        ORDER BY published_at DESC, id DESC LIMIT ${queries[0].params.first ?? PAGE}) AS each`;
      const groups = new Map(keys.map((key) => [key, []]));
      for (const row of rows) groups.get(row.store_id).push(row);
      return keys.map((key) => ({ nodes: groups.get(key) }));
    }),
  },
};

const app = fastify();
app.register(mercurius, { schema, resolvers, loaders, jit: 1, subscription: true });
await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
