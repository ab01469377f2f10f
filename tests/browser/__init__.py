"""The panels in a real JupyterLab and a real browser; see `make test-browser`."""
