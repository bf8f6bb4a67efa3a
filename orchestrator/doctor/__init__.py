"""What is missing or slow, and the command that mends it: `fleetpacks doctor`.

`facts` are what was seen, `rules` say what is wrong with them and read nothing themselves, `looking` reads this
machine. Whoever gathers facts from builders, registries and records is the composition root.
"""
