"""Events on a screen, or as JSON lines: each display is a fold over the same stream."""
