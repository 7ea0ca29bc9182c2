"""OpenID Connect: reads the tokens of people, and signs people in."""
