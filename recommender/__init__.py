"""Everything that serves: telemetry, fingerprints, forecasts, sizing."""
