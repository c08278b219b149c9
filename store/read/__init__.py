"""Read models: SELECTs that return frozen views, shared by the API and the console. Nothing here writes."""
