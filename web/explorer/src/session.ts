import { language, text } from "./text";

/** What the server hands out at sign-in. Kept for the life of the browser tab only, never in localStorage. */
interface Session {
  accessToken: string;
  refreshToken: string;
  expiresAt: string;
}

export interface Account {
  username: string;
  level: string;
}

export interface State {
  session: Session | null;
  account: Account | null;
  notice: string | null;
}

interface Payload {
  session: Session | null;
  userErrors: { message: string }[];
}

export const ENDPOINT = "/graphql";
const STORED_AS = "esc.explorer.session";
const PAYLOAD = "session { accessToken refreshToken expiresAt } userErrors { code message field }";
const REFRESH_AHEAD_MS = 60_000;

let state: State = { session: restore(), account: null, notice: null };
let timer: number | undefined;
let refreshing: Promise<void> | null = null;
const listeners = new Set<() => void>();

export const getState = (): State => state;

export function onChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The headers of a request, with a token that is still good: one that is about to end is renewed first. */
export async function authorization(): Promise<Record<string, string>> {
  if (state.session && remaining(state.session) < REFRESH_AHEAD_MS / 2) await refresh();
  return state.session ? { authorization: `Bearer ${state.session.accessToken}` } : {};
}

/** Returns what the user should read when it failed, else null. */
export async function signIn(username: string, password: string): Promise<string | null> {
  const document = `mutation SignIn($u: String!, $p: String!) { signIn(input: {username: $u, password: $p}) { ${PAYLOAD} } }`;
  try {
    const data = await request<{ signIn: Payload | null }>(document, { u: username, p: password });
    if (!data.signIn?.session) return data.signIn?.userErrors[0]?.message ?? text.unreachable;
    begin(data.signIn.session);
    await loadAccount();
    return null;
  } catch (error) {
    return error instanceof ServerError ? error.message : text.unreachable;
  }
}

export function signOut(notice: string | null = null): void {
  window.clearTimeout(timer);
  sessionStorage.removeItem(STORED_AS);
  publish({ session: null, account: null, notice });
}

/** A reload of the page finds its session again and keeps it fresh. */
export function resume(): void {
  if (!state.session) return;
  schedule(state.session);
  void loadAccount();
}

function begin(session: Session): void {
  sessionStorage.setItem(STORED_AS, JSON.stringify(session));
  publish({ ...state, session, notice: null });
  schedule(session);
}

function schedule(session: Session): void {
  window.clearTimeout(timer);
  timer = window.setTimeout(() => void refresh(), Math.max(remaining(session) - REFRESH_AHEAD_MS, 1_000));
}

function refresh(): Promise<void> {
  refreshing ??= renew().finally(() => (refreshing = null));
  return refreshing;
}

async function renew(): Promise<void> {
  const document = `mutation SessionRefresh($t: String!) { sessionRefresh(input: {refreshToken: $t}) { ${PAYLOAD} } }`;
  try {
    const data = await request<{ sessionRefresh: Payload | null }>(document, { t: state.session?.refreshToken });
    if (data.sessionRefresh?.session) begin(data.sessionRefresh.session);
    else signOut(text.expired);
  } catch (error) {
    if (error instanceof ServerError) signOut(text.expired);
  }
}

async function loadAccount(): Promise<void> {
  const token = state.session?.accessToken;
  const headers = token ? { authorization: `Bearer ${token}` } : undefined;
  try {
    const data = await request<{ viewer: Account | null }>("query Me { viewer { username level } }", {}, headers);
    if (token !== state.session?.accessToken) return;
    if (data.viewer) publish({ ...state, account: data.viewer });
    else signOut(text.expired);
  } catch (error) {
    if (error instanceof ServerError) signOut(text.expired);
  }
}

/** The server's own word that it will not, as opposed to no answer at all. */
class ServerError extends Error {}

async function request<Data>(query: string, variables: object, headers: Record<string, string> = {}): Promise<Data> {
  const response = await fetch(ENDPOINT, {
    method: "POST",
    headers: { "content-type": "application/json", "accept-language": language, ...headers },
    body: JSON.stringify({ query, variables }),
  });
  const body = (await response.json()) as { data?: Data | null; errors?: { message: string }[] };
  if (!body.data) throw new ServerError(body.errors?.[0]?.message ?? text.unreachable);
  return body.data;
}

function publish(next: State): void {
  state = next;
  for (const listener of listeners) listener();
}

const remaining = (session: Session): number => Date.parse(session.expiresAt) - Date.now();

function restore(): Session | null {
  const stored = sessionStorage.getItem(STORED_AS);
  return stored ? (JSON.parse(stored) as Session) : null;
}
