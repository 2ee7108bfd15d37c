
-- What is still to be done at each device: a technician's list reads it device by device.
CREATE INDEX anomaly_unresolved ON anomaly (tenant, device, updated_sequence)
WHERE handling <> 'resolved' AND merged_into IS NULL;
