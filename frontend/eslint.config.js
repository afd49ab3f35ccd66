import js from "@eslint/js";
import reactHooks from "eslint-plugin-react-hooks";
import ts from "typescript-eslint";

import { fewArguments } from "./lint/few-arguments.js";
import { ownKeys } from "./lint/own-keys.js";

/** What a pure function has no use for: time, chance, and all that is outside. */
const WORLD = ["setTimeout", "setInterval", "queueMicrotask", "Date", "performance", "crypto", "fetch", "window", "document", "navigator", "localStorage", "indexedDB"];

export default ts.config(
  { ignores: ["**/dist/", "**/node_modules/"] },
  js.configs.recommended,
  ts.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        project: ["client/tsconfig.json", "editor/tsconfig.json"],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      "@typescript-eslint/no-explicit-any": "error",
      // A number in a template is what it looks like.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
    },
  },
  {
    files: ["*/src/**"],
    plugins: { helix: { rules: { "few-arguments": fewArguments, "own-keys": ownKeys } } },
    rules: { "helix/few-arguments": "error", "helix/own-keys": "error" },
  },
  {
    files: ["client/src/model/**"],
    rules: { "no-restricted-globals": ["error", ...WORLD] },
  },
  {
    files: ["**/*.tsx", "**/react/*.ts"],
    ...reactHooks.configs.flat["recommended-latest"],
  },
  { files: ["**/*.js", "**/*.config.ts"], ...ts.configs.disableTypeChecked },
);
