"""Cases, the space they are drawn from, and the properties that judge an engine on them."""
