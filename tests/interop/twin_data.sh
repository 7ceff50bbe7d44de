#!/bin/bash
# Data and attributes, twice: a stock mount and our script do the same, all keys are compared (twin_data.py).
# limit: 600
# sleeps
. "$(dirname "$0")/../lib/env.sh"
. "$(dirname "$0")/../lib/twins.sh"

twins "$(dirname "$0")/twin_data.py" "0 1" "$@"
