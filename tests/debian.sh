#!/bin/sh
# Installs the programs that the tests drive, where they are missing and apt-get may be used.
set -eu
missing=""
command -v nginx >/dev/null || missing="$missing nginx-light"
command -v make >/dev/null || missing="$missing make"
command -v cc >/dev/null || missing="$missing gcc libc6-dev"
command -v curl >/dev/null || missing="$missing curl"
command -v chromium >/dev/null || missing="$missing chromium"
command -v nghttp >/dev/null && command -v h2load >/dev/null || missing="$missing nghttp2-client"
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "The tests need:$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >&2
# shellcheck disable=SC2086
apt-get install -y -q --no-install-recommends $missing >&2
