#!/usr/bin/env bash
# Gradescope runs this once, when the autograder's image is built. It needs the checker itself: build it
# (`cargo build --release`) on a machine like the image, and put target/release/herd beside this script.
set -euo pipefail
apt-get update -qq
apt-get install -y -qq python3
install -m 755 /autograder/source/herd /usr/local/bin/herd
