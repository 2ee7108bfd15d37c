"""What detectors found, kept for short questions: the abnormal readings of each tenant."""
