"""What training minimises: distances, weightings, and one small class for each system of the papers."""
