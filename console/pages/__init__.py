"""One module per part of the console: routes that read, ask for a view, and render it."""
