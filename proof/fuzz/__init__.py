"""Coverage-guided fuzzing of every parser and decoder, and of the HTTP interface."""
