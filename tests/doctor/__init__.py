"""What is wrong with a machine, told from facts."""
