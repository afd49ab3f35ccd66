"""
Who a client is: tokens, the keys that check them, and the names that a proxy gives.

A token is a JSON Web Token (`tokens`) that one of the server's `keys` has signed. What it says of
its holder (`claims`) becomes a `helix.access.principal.Principal`. A program has an API key
(`api_keys`), and a guest the token for which a link was exchanged (`guests`, `passwords`): these
count on every server. People sign in at a provider (`sign_in`: `code_flow`), and have a session
then (`sessions`). A proxy may name the client instead (`header`). `authenticator` makes one answer
of all ways.

Imports: `helix.access`, `helix.config`, `helix.documents`, `helix.errors`, `helix.interfaces`,
`helix.limits`, `helix.records`, `helix.telemetry`. Begin with `authenticator`.
"""
