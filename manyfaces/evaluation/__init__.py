"""How sure the numbers of a backtest are."""
