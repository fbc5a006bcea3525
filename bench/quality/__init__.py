"""How good answers are, measured on real goals: one subject a module, each writing a part of docs/quality.md."""
