"""Pictures and pages from values: contact sheets, curves, masks, one HTML file."""
