"""Training data from pictures and videos of people: aligned crops, masks and embeddings in tar shards.

Data runs one way: `inputs` (what lies in the folder) -> `examine` (one picture -> its faces, in worker processes) ->
`prepare` (duplicates, order, journal) -> `shards` (files) -> `people` (who is whom) -> `report`. What is read back for
training is `prepared_set`.
"""
