"""The console's own SELECTs, where the shared read models do not reach: sorted lists, the firm's day, the indicator."""
