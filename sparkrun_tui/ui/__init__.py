"""The full-screen face: screens, widgets and keys over the engine."""
