"""Who may run now, and under which shared key. Pure: no clock, no I/O."""
