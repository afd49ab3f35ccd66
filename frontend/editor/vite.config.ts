import { defaultClientConditions, defineConfig } from "vite";
import react from "@vitejs/plugin-react";

/** The daemon serves what is built from its package: `helix/editor/`. */
export default defineConfig({
  plugins: [react()],
  resolve: { conditions: ["helix-source", ...defaultClientConditions] },
  build: { outDir: "../../helix/editor", emptyOutDir: true },
  server: { proxy: { "/api": "http://127.0.0.1:4000", "/socket": { target: "ws://127.0.0.1:4000", ws: true } } },
});
