"""peakcast."""
