"""What files say of themselves: labels that lie elsewhere, images that are used twice."""
