//! Automation of the workspace.
