import js from "@eslint/js";
import reactHooks from "eslint-plugin-react-hooks";
import ts from "typescript-eslint";

import { ownKeys } from "./lint/own-keys.js";

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
    plugins: { helix: { rules: { "own-keys": ownKeys } } },
    rules: { "helix/own-keys": "error" },
  },
  {
    files: ["**/*.tsx", "**/react/*.ts"],
    ...reactHooks.configs.flat["recommended-latest"],
  },
  { files: ["**/*.js", "**/*.config.ts"], ...ts.configs.disableTypeChecked },
);
