"""CI and cluster files, generated from what a project's configuration says: `fleetpacks init`.

Deciding what a file says is pure: a `Project` in, a `File` out. A template holds what is the same for everybody; every
value that it puts in is quoted by its renderer, whether the template asks for it or not (`rendering`). What CI tells
fleetpacks is an operator's file (`operatorfile`), as an operator would write it by hand.
"""
