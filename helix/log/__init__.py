"""
The log of an open flow: from a submitted edit to a stored entry.

`edits` has submissions and their results. `submitters` knows the pending ones, and recognises
resends by their idempotency keys. `commit_loop` stages edits in groups (`commit_group`), appends
each group to the store by compare-and-set, and only then acknowledges. `remote_writes` takes
what other writers did, and `contention` waits where nodes write at once, so that they do so in
`turns`.
`live_log` holds the document and the newest entries. `verify` replays whole stores.

Imports: documents, delivery, limits and the modules at the top; a store only by its interface.
Begin with `commit_loop`.
"""
