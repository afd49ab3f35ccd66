"""
What a document is, and what may be done with one: pure, with no I/O and no Twisted.

A patch is checked for its shape (`validation`), staged on the document it meets (`document`), and
made to keep the rules of groups (`nesting`, `regrouping`). JSON Merge Patch is the algebra
beneath (`merge_patch`). Whole documents come from templates, files and copies (`templates`,
`importing`, `duplicating`).

Imports: `helix.errors` only. Begin with `document`.
"""
