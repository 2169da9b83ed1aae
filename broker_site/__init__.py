"""The environment -> a Django site that runs the messaging app."""
