"""Error budgets: objectives of apps, how fast failures use up what they allow, and when that runs out."""
