"""The long-running processes besides the worker: what each is made of. Each module imports only what its process
runs."""
