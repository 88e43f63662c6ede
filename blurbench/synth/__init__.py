"""From sharp frames to blurry ones: recipes, windows, accumulation, the pipeline over a source."""
