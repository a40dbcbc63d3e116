"""Everything that ``make run`` starts: embedded servers, a simulated chain, a supervisor, a viewer."""
