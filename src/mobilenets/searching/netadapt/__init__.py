"""NetAdapt: many small cuts, each the cheapest in accuracy that saves its milliseconds."""
