#!/bin/sh
# Check the alerting rules with promtool and the dashboard with jq, each where it is installed
# (Debian: apt install prometheus jq). Exits with 1 where one of them finds a fault.
set -eu
cd "$(dirname "$0")"
if command -v promtool >/dev/null; then
    promtool check rules alerts.yml
else
    echo "promtool is not installed: alerts.yml was not checked by it"
fi
if command -v jq >/dev/null; then
    jq -e '.panels | length > 0' grafana-dashboard.json >/dev/null && echo "grafana-dashboard.json is JSON with panels"
else
    echo "jq is not installed: grafana-dashboard.json was not checked by it"
fi
