"""`--progress=tty`: one table that is drawn over itself while a run lasts."""
