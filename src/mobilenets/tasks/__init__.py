"""What a photograph is asked: how labels are read, how outputs become answers, and how right these are."""
