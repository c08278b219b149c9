"""From read models to views: the words, tones and arithmetic that a person reads."""
