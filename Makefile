# `make help` lists what can be done. Needs Rust, make and Python with pip; everything else is installed by `make setup`.
.POSIX:
.PHONY: help setup build demo test check fmt lint laws bench cost fuzz simulation chaos new-worker recording clean

REPO = .
CASE =
NAME =
ADD =
WRITE =
TARGET =
SECS = 60
SEED =
SEEDS =
PROFILE = fast
MORE =
export REPO NAME ADD WRITE TARGET SECS SEED SEEDS

# The server every test and demo starts; resolved when a recipe runs, because setup may just have installed it.
NATS = NOVA_NATS_SERVER="$$(deploy/setup/nats-server.sh)"
BIN = "$${CARGO_TARGET_DIR:-target}/debug"

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "  make %-12s %s\n", $$1, $$2 }'

setup: ## install nats-server into .venv, unless a new enough one is there
	@deploy/setup/nats-server.sh >/dev/null

build: ## build every binary: the nova command, the coordinator, the workers
	cargo build --workspace --bins

demo: setup build ## review a git repository with a fleet, a worker and a coordinator killed on the way (REPO=path)
	@$(NATS) $(BIN)/nova demo --repo "$$REPO"

test: setup build ## build every binary, then run every test
	@$(NATS) cargo test --workspace

check: fmt lint laws ## format, clippy, repository laws and the tests of the pure crates

fmt: ## is the code formatted?
	@deploy/setup/component.sh fmt
	cargo fmt --all --check

lint: ## clippy over everything, warnings denied
	@deploy/setup/component.sh clippy
	cargo clippy --workspace --all-targets --quiet -- -D warnings

laws: ## repository laws (tests/tidy) and the tests of the crates that do no I/O
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check bans licenses sources; \
	else echo "check: cargo-deny is not installed, so licences are not checked; that only nova-broker uses async-nats is, by tests/tidy" >&2; fi
	cargo test --quiet -p nova-tidy -p nova-types -p nova-wire -p nova-workflow -p nova-engine

# Builds apart: the programs measured must not carry what the bench's own dependencies ask of shared crates.
bench: setup ## measure a release build and judge it by its bounds, in 10 minutes at most (CASE=name; FULL=1: all there is, 60 minutes)
	cargo build --release
	cargo build --release --package nova-broker --features stock --example yardstick
	@$(NATS) cargo run --release --quiet -p nova-bench -- $$(case "$${FULL:-0}" in 0) ;; *) echo --full ;; esac) $(CASE)

cost: ## hold the instructions of the hot paths against their figures, where valgrind is installed (WRITE=1 writes them anew)
	cargo build --release --quiet --package nova-cost
	@"$${CARGO_TARGET_DIR:-target}/release/nova-cost" $$(case "$${WRITE:-0}" in 0) ;; *) echo --write ;; esac)

fuzz: ## mutate what is parsed for a while, and keep what fails in tests/fuzz/corpus (SECS=60; TARGET=name, SEED=n)
	cargo build --release --quiet --package nova-fuzz
	@"$${CARGO_TARGET_DIR:-target}/release/nova-fuzz" --secs "$$SECS" $${TARGET:+--target "$$TARGET"} $${SEED:+--seed "$$SEED"}

simulation: ## go through more seeds of the simulation than a test has time for (SEEDS=1000; SEED=n begins there; TWICE=1: each twice)
	cargo build --release --quiet --package nova-simulation
	@"$${CARGO_TARGET_DIR:-target}/release/nova-simulation" --seeds "$${SEEDS:-1000}" $${SEED:+--seed "$$SEED"} $${TWICE:+--twice}

chaos: setup build ## break a real fleet and judge what became of every task (SEED=n SEEDS=n SECS=s PROFILE=fast,durable,replicated)
	@$(NATS) $(BIN)/nova-chaos --secs "$$SECS" --seed "$${SEED:-1}" --seeds "$${SEEDS:-1}" --profile $(PROFILE) $(MORE) \
	  $$(case "$${WRITE:-0}" in 0) ;; *) echo --write-doc docs/reliability.md ;; esac)

new-worker: ## start a worker in workers/NAME after the shape of echo (NAME=x, ADD=1 adds its catalogue line)
	@deploy/setup/new-worker.sh "$$NAME" "$$ADD"

recording: setup build ## record the demo into docs/demo.svg
	@$(NATS) python3 deploy/setup/recording.py docs/demo.svg $(BIN)/nova demo --repo "$$REPO"

clean: ## delete what was built and installed here
	rm -rf .venv
	cargo clean
