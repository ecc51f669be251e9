"""`indexer verify`.

`source_model` says what should be in the store, `findings` what is wrong with an image, `reconciler` walks and repairs,
`command` opens what is needed and reports.
"""
