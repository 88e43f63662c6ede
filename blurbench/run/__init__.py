"""Running methods: predict, score, record."""
