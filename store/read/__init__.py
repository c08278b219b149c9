"""Read models: SELECTs that give frozen views, the same for the API and the console. Nothing here writes."""
