"""What a bound is: schemes, which neurons share one, how it is coded and stored."""
