"""Training: what compile() keeps, the loops of fit(), evaluate() and predict(), and what they show."""
