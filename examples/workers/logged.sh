#!/bin/bash
# An entrypoint script that keeps a log of its own: all that the application writes goes through tee.
exec > >(tee "$FOLDER/log")
exec /usr/bin/python3 "$(dirname "$0")/closing.py"
