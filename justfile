# The daily commands: `just` lists them. What must hold before a change lands is `./test`, which needs no just.

# List the commands.
default:
    @just --list --unsorted

# The program on made-up data, at http://localhost:10058/.
demo *ARGUMENTS:
    cargo run -- demo {{ARGUMENTS}}

# Whether everything compiles.
check:
    cargo check --workspace --all-targets

# The tests of the parts.
unit *FILTER:
    cargo test --workspace --lib -- {{FILTER}}

# The tests of the whole, or of one module: just it golden::
it *FILTER:
    cargo test --workspace --test it -- {{FILTER}}

# Format, lint and document, as ./test demands.
lint:
    cargo fmt --all
    cargo clippy --locked --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items

# Rewrite METRICS.md, the tables in docs/, the dashboards, completions, man pages and licences.
generate:
    UPDATE_DOCS=1 cargo test --locked --workspace --test it -- catalogue:: golden:: dashboards::made packaging:: --test-threads=1

# Licences and sources of the dependencies, and the workflows and scripts.
audit:
    packaging/check-dependencies
    packaging/check-workflows

# Install what ./test needs, without running it.
set-up:
    tests/set-up

# Everything that must hold.
all:
    ./test
