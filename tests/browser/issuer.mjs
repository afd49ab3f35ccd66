/**
 * An OpenID provider: `oidc-provider`, which is certified, with one client, and everybody whose password is typed.
 *
 * Arguments: its port; the address of Helix. It prints a line once it listens, and lives as long as its standard input.
 */

import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const [port, helix] = process.argv.slice(2);

const provider = new Provider(`http://localhost:${port}`, {
  clients: [
    {
      client_id: "helix",
      client_secret: "a secret of the client: 100%",
      redirect_uris: [`${helix}/auth/callback`],
      post_logout_redirect_uris: [`${helix}/`],
    },
  ],
  claims: { openid: ["sub"], profile: ["name"], email: ["email", "email_verified"], groups: ["groups"] },
  scopes: ["openid", "profile", "email", "groups"],
  cookies: { keys: ["a key for the tests"] },
  pkce: { required: () => true },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      name: `${id[0].toUpperCase()}${id.slice(1)}`,
      email: `${id}@example.com`,
      email_verified: id !== "eve",
      groups: ["team"],
    }),
  }),
});

createServer(provider.callback()).listen(Number(port), "localhost", () => console.log("listening"));
process.stdin.on("close", () => process.exit(0)).resume();
