"""The container set: images, compose file, Container App template, and what runs them here."""
