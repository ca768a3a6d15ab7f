import { type FormEvent, useRef, useState, useSyncExternalStore } from "react";

import { DEMO_PASSWORD, demoAccounts, offersDemoAccounts } from "./accounts";
import { getState, onChange, signIn, signOut } from "./session";
import { text } from "./text";

/** Who is signed in, and the way to change it. */
export function SignIn() {
  const { session, account, notice } = useSyncExternalStore(onChange, getState);
  const dialog = useRef<HTMLDialogElement>(null);
  if (session) {
    return (
      <div className="account">
        <span className="who" title={text.signedInAs}>
          <strong>{account?.username ?? "…"}</strong>
          {account && <small>{account.level}</small>}
        </span>
        <button type="button" className="quiet" onClick={() => signOut()}>
          {text.signOut}
        </button>
      </div>
    );
  }
  return (
    <div className="account">
      {notice && <span role="status">{notice}</span>}
      <button type="button" className="primary" onClick={() => dialog.current?.showModal()}>
        {text.signIn}
      </button>
      <dialog ref={dialog} aria-labelledby="sign-in-title" closedby="any">
        <SignInForm onClose={() => dialog.current?.close()} />
      </dialog>
    </div>
  );
}

function SignInForm({ onClose }: { onClose: () => void }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);

  async function attempt(username: string, password: string) {
    setBusy(true);
    setProblem(null);
    setProblem(await signIn(username, password));
    setBusy(false);
  }

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    void attempt(String(form.get("username")), String(form.get("password")));
  }

  return (
    <div className="sign-in" aria-busy={busy}>
      <header>
        <h2 id="sign-in-title">{text.signIn}</h2>
        <button type="button" className="quiet" aria-label={text.close} onClick={onClose}>
          ✕
        </button>
      </header>
      {offersDemoAccounts && (
        <fieldset disabled={busy}>
          <legend>{text.demoAccounts}</legend>
          <p>{text.demoHint}</p>
          <div className="demo">
            {demoAccounts.map(({ username, label }) => (
              <button key={username} type="button" onClick={() => void attempt(username, DEMO_PASSWORD)}>
                <strong>{username}</strong>
                <small>{label}</small>
              </button>
            ))}
          </div>
        </fieldset>
      )}
      <form onSubmit={submit}>
        <fieldset disabled={busy}>
          <legend>{text.otherAccount}</legend>
          <label>
            {text.username}
            <input name="username" autoComplete="username" required />
          </label>
          <label>
            {text.password}
            <input name="password" type="password" autoComplete="current-password" required />
          </label>
          <button type="submit" className="primary">
            {busy ? text.working : text.signIn}
          </button>
        </fieldset>
      </form>
      <p role="alert">{problem}</p>
    </div>
  );
}
