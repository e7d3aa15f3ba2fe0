"""Tables, images and arrays: audited in one pass, split without leaks, decoded once, then drawn from as batches."""
