"""An app whose pages stay up to date: a model changes on one page, and every open board shows it."""
