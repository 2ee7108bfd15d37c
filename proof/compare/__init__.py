"""Compares what the product did with what proof.model says it had to do; the one place that knows both."""
