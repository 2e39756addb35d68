"""Preparation of training data: pictures and videos of people become aligned crops, masks and embeddings in tar shards.

Data flows in one direction: `io.folder_walk` (what the folder contains) -> `examine` (one picture to its faces, in
worker processes) -> `prepare` (duplicates, order, journal) -> `shards` (files) -> `people` (who is whom) ->
`preparation_report`. `prepared_set` reads the result for training.
"""
