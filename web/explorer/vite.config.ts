import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const server = process.env.ESC_URL ?? "http://127.0.0.1:8000";

/** The page is served at /graphql, its files below /graphql/assets/, from one origin and with no inline script. */
export default defineConfig(({ command }) => ({
  base: command === "build" ? "/graphql/" : "/",
  plugins: [react()],
  worker: { format: "es" },
  build: {
    target: "es2022",
    assetsInlineLimit: (path) => (path.endsWith(".svg") ? false : undefined),
    chunkSizeWarningLimit: 4096,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/graphql": { target: server, ws: true } } },
}));
