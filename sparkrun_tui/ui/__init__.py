"""The full-screen app: screens, widgets and keys over the backend."""
