"""Small screens over another one: questions, answers, lists of notices and changes."""
