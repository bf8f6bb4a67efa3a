"""What builds cost on which storage: measured on the operator's own, told with its doubts, compared between runs."""
