import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN } from "@graphiql/plugin-history";
import { useMonaco } from "@graphiql/react";
import { GraphiQL } from "graphiql";
import { useEffect, useMemo, useSyncExternalStore } from "react";

import { examples } from "./examples";
import { createFetcher } from "./fetcher";
import mark from "./mark.svg";
import { getState, onChange } from "./session";
import { SignIn } from "./SignIn";

const plugins = [HISTORY_PLUGIN, explorerPlugin()];

/** A new account gets a new fetcher, by which GraphiQL knows to ask for the schema again. */
function useFetcher() {
  const username = useSyncExternalStore(onChange, () => getState().account?.username);
  return useMemo(createFetcher, [username]);
}

/** Editors mark full-width punctuation as easily mistaken for ASCII: in Chinese it is the rule. */
function usePlainPunctuation() {
  const monaco = useMonaco((state) => state.monaco);
  useEffect(() => {
    if (!monaco) return;
    const relax = (editor: { updateOptions(options: object): void }) =>
      editor.updateOptions({ unicodeHighlight: { ambiguousCharacters: false } });
    monaco.editor.getEditors().forEach(relax);
    const watching = monaco.editor.onDidCreateEditor(relax);
    return () => watching.dispose();
  }, [monaco]);
}

export function App() {
  const fetcher = useFetcher();
  usePlainPunctuation();
  return (
    <>
      <header className="bar">
        <h1>
          <img src={mark} alt="" width="28" height="28" />
          企服云 <span>GraphQL</span>
        </h1>
        <SignIn />
      </header>
      <main>
        <GraphiQL fetcher={fetcher} plugins={plugins} defaultTabs={examples} inputValueDeprecation schemaDescription>
          <GraphiQL.Logo>
            <></>
          </GraphiQL.Logo>
        </GraphiQL>
      </main>
    </>
  );
}
