"""The storage benchmark on the hosts of a pool, through the sockets of their own daemons: nothing is installed there.

A host's daemon has caches and other users, so that none of it can be made empty: what is to be built anew is another
app each time, with package caches of another name, and all of that is deleted after each round. Its storage is measured
by builds as `bench storage` makes them, and by a step that measures it from within (`ground.steps`). One host works at
a time, in an order that turns, so that none shares our network or our processors with another; only `scaling` uses
several.
"""
