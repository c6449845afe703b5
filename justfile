# `just` lists the recipes; CI runs `just check`'s steps through .ci/run.

_default:
    @just --list

# Everything CI checks
check:
    .ci/run

# One or several steps of it: tools fmt clippy doc deny fips fuzz demo test
step +names:
    .ci/run {{names}}

# A proxy with a control plane and upstreams to play with
demo:
    cargo run --release -- demo

# The fast checks while working
quick:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test --workspace --lib

# Feed one fuzz target, or all, for some time
fuzz target="all" seconds="60":
    cargo run -p dragoman-fuzz -- {{target}} --seconds {{seconds}}
