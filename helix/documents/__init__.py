"""
Documents and the operations on them: pure, with no I/O and no Twisted.

A patch is checked (`validation`), staged on the current document (`document`), and made to keep
the rules of groups (`nesting`, `regrouping`). All of this builds on JSON Merge Patch
(`merge_patch`). Whole documents come from templates, files and copies (`templates`,
`importing`, `duplicating`).

Imports: `helix.errors` only. Begin with `document`.
"""
