import { defineConfig } from "vitest/config";

// pytest names a daemon in tests/stock_clients/test_flow_sync.py; there are no others to test against then.
const isWithDaemon = process.env["HELIX_URL"] !== undefined;

export default defineConfig({
  resolve: { conditions: ["helix-source"] },
  ssr: { resolve: { conditions: ["helix-source"] } },
  test: {
    include: [isWithDaemon ? "client/test/daemon.ts" : "*/test/**/*.test.{ts,tsx}"],
    testTimeout: 60_000,
  },
});
