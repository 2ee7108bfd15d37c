"""Tools that prove what Tocsin promises: simulation, power loss, kills, a model. Not in the wheel."""
