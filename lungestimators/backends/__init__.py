"""What only one framework can do: compiled steps, several devices, settings, a quiet start."""
