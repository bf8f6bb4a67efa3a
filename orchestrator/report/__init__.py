"""What a run leaves behind for programs: the result file."""
