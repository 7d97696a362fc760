"""Changes to other products' configuration, one step each: planned, shown, applied, verified, and taken back."""
