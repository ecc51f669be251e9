"""Learning codes from what a catalogue knows of its pictures."""
