"""What a MobileNet is, as data: tables, scaling rules and cost. Imports nothing but the standard library."""
