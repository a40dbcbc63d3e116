"""The ground floor of both processes; it knows neither."""
