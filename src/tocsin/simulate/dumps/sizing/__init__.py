"""What a fleet of any size needs to have its dumps processed: a simulation in columns, without a dump."""
