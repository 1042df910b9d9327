"""Makes datasets: converts published ones, renders scenes."""
