import { brotliCompressSync, constants, gzipSync } from "node:zlib";

import react from "@vitejs/plugin-react";
import { defaultClientConditions, defineConfig, type Plugin } from "vite";

/** Files that are smaller than this are sent as they are. */
const WORTH_COMPRESSING = 512;

/** Puts every file beside itself, compressed: the daemon sends what it finds. */
function compressed(): Plugin {
  return {
    name: "helix-compressed",
    apply: "build",
    enforce: "post",
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        for (const [name, file] of Object.entries(bundle)) {
          // The daemon compresses the page, after it has written into it.
          if (name.endsWith(".html")) {
            continue;
          }
          const source = Buffer.from(file.type === "chunk" ? file.code : file.source);
          if (source.length < WORTH_COMPRESSING) {
            continue;
          }
          const params = { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY };
          const forms = [
            [`${name}.br`, brotliCompressSync(source, { params })],
            [`${name}.gz`, gzipSync(source, { level: 9 })],
          ] as const;
          for (const [fileName, form] of forms) {
            this.emitFile({ type: "asset", fileName, source: form });
          }
        }
      },
    },
  };
}

/** The daemon serves what is built from its package: `helix/editor/`. */
export default defineConfig({
  // The daemon writes into the page below which path it is; all else stands beside each other.
  base: "./",
  plugins: [react(), compressed()],
  resolve: { conditions: ["helix-source", ...defaultClientConditions] },
  build: {
    outDir: "../../helix/editor",
    emptyOutDir: true,
    // The daemon's policy allows no style in a page, and no picture that isn't a file is worth it.
    assetsInlineLimit: 0,
  },
  server: { proxy: { "/api": "http://127.0.0.1:4000", "/socket": { target: "ws://127.0.0.1:4000", ws: true } } },
});
