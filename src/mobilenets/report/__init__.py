"""Pages and pictures of runs, audits and searches."""
