"""
The commands of ``helix``: each is a client of a running server, or opens a store itself.

`main` has the commands, `keys` those about API keys. `commands` runs each on a reactor, `terminal`
writes the output, `stores` has the stores that commands open, `tailing` and `transfers` have the
work of the larger commands.

Imports: client, store, identity (to make keys), log (to verify), and the modules at the top. Begin
with `main`.
"""
