"""Making datasets: converters of the published ones, rendered scenes."""
