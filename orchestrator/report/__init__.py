"""What a run leaves behind, the result file and the record, and what its record tells."""
