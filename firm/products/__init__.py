"""Product definitions: reading them, selling a version, moving accounts to one."""
