import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["helix-source"] },
  ssr: { resolve: { conditions: ["helix-source"] } },
  test: {
    include: ["*/test/**/*.test.{ts,tsx}"],
    testTimeout: 20_000,
  },
});
