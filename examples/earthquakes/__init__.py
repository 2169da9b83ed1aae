"""A week of the world's earthquakes -> messages, at their own pace or faster."""
