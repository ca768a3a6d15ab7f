import "./workers";
import "@graphiql/react/style.css";
import "@graphiql/plugin-doc-explorer/style.css";
import "@graphiql/plugin-history/style.css";
import "graphiql/graphiql.css";
import "@graphiql/plugin-explorer/style.css";
import "./style.css";

import { createRoot } from "react-dom/client";

import { App } from "./App";
import { followSession } from "./fetcher";
import { resume } from "./session";
import { language } from "./text";

document.documentElement.lang = language;
followSession();
resume();
createRoot(document.getElementById("root") as HTMLElement).render(<App />);
