import type { Fetcher, FetcherOpts, FetcherParams, Observable } from "@graphiql/toolkit";
import { type ExecutionResult, getOperationAST, type OperationDefinitionNode, OperationTypeNode, parse } from "graphql";
import { createClient } from "graphql-ws";

import { authorization, ENDPOINT, getState, onChange } from "./session";
import { language } from "./text";

interface Sink {
  next(result: ExecutionResult): void;
  error(reason: unknown): void;
  complete(): void;
}

const socket = createClient({
  url: `${location.origin.replace(/^http/, "ws")}${ENDPOINT}`,
  connectionParams: authorization,
  retryAttempts: 3,
});

/** Queries and mutations go over HTTP, subscriptions over graphql-transport-ws, both as the signed-in account. */
export function createFetcher(): Fetcher {
  return (params, options) => {
    const operation = operationOf(params);
    const current = { ...params, operationName: operation?.name?.value };
    return operation?.operation === OperationTypeNode.SUBSCRIPTION ? subscribe(current) : post(current, options);
  };
}

/** An open socket belongs to the account that opened it: another account's subscriptions start on a new one. */
export function followSession(): void {
  let username = getState().account?.username;
  onChange(() => {
    const next = getState().account?.username;
    if (next !== username) socket.terminate();
    username = next;
  });
}

/** Right after a change of tabs GraphiQL still names the last tab's operation: a document's only one needs no name. */
function operationOf({ query, operationName }: FetcherParams): OperationDefinitionNode | null | undefined {
  try {
    const document = parse(query);
    return getOperationAST(document, operationName) ?? getOperationAST(document);
  } catch {
    return null; // the server words the syntax error
  }
}

async function post(params: FetcherParams, options?: FetcherOpts): Promise<ExecutionResult> {
  const response = await fetch(ENDPOINT, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/graphql-response+json, application/json",
      "accept-language": language,
      ...(await authorization()),
      ...options?.headers,
    },
    body: JSON.stringify(params),
  });
  if (response.headers.get("content-type")?.includes("json")) return (await response.json()) as ExecutionResult;
  throw new Error(`HTTP ${response.status} ${response.statusText}`);
}

function subscribe({ query, operationName, variables }: FetcherParams): Observable<ExecutionResult> {
  return {
    subscribe(observer?: unknown) {
      const sink = observer as Sink; // GraphiQL always passes the object form
      const stop = socket.subscribe<Record<string, unknown>>(
        { query, operationName, variables: variables as Record<string, unknown> | undefined },
        {
          next: (result) => sink.next(result as ExecutionResult),
          error: (reason) => sink.error(readable(reason)),
          complete: () => sink.complete(),
        },
      );
      return { unsubscribe: stop };
    },
  };
}

/** A refused operation arrives as GraphQL errors, a closed socket as an event that prints as nothing. */
function readable(reason: unknown): unknown {
  if (reason instanceof CloseEvent) return new Error(`WebSocket ${reason.code} ${reason.reason}`.trim());
  return reason instanceof Event ? new Error("WebSocket: no connection") : reason;
}
