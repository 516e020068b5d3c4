#!/bin/sh
# Chromium and a Japanese font for the tests in a browser, where they are missing and Debian's apt can bring them.
# What cannot be had is said in one line, and the tests that need it are skipped with that reason: never a failure.

browser() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        command -v "$name" >/dev/null 2>&1 && return
    done
    return 1
}

japanese() {
    command -v fc-list >/dev/null 2>&1 && [ -n "$(fc-list :lang=ja family)" ]
}

browser && japanese && exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    as_root=none
fi

wanted=
browser || wanted="chromium"
# 3 MB, where the usual Noto faces are 57.
japanese || wanted="$wanted fonts-ipaexfont-gothic"
mend="apt-get install --no-install-recommends $(echo $wanted)"

if [ "$as_root" = none ] || ! command -v apt-get >/dev/null 2>&1; then
    why="this needs root and apt-get"
else
    echo "tests/browser: $mend (once)"
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    # The lists of a fresh machine are empty; where they cannot be fetched, old ones may do.
    $as_root apt-get update -qq >"$log" 2>&1
    # shellcheck disable=SC2086
    $as_root apt-get install -y -qq --no-install-recommends $wanted >>"$log" 2>&1
    why=$(grep '^E:' "$log" | head -n 1)
    rm -f "$log"
fi

browser || echo "tests/browser: SKIPPED, there is no chromium (${why:-apt-get brought none}); mend: $mend"
browser && ! japanese && echo "tests/browser: no Japanese font, so the width of Japanese lines is not tested (${why:-apt-get brought none}); mend: $mend"
exit 0
