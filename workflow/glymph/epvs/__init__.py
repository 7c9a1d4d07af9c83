"""Stage epvs: enlarged perivascular spaces, from T1w and T2w to a census per region."""
