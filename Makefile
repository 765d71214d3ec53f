# What people and CI type. `make` alone lists it.

# The toolchain of rustup wins over that of the distribution, as in scripts/setup.
export PATH := $(HOME)/.cargo/bin:$(PATH)

.PHONY: help demo test test-agent test-pi verify bench router-score import-score build agent-aarch64

help: ## Lists these targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 16

demo: ## Builds, deploys hello-web on this machine and asks it for its page
	@scripts/setup --demo
	@scripts/demo

test: ## Installs what the tests need and runs all of them
	@scripts/setup --test
	@scripts/test

test-agent: ## Runs the agent's tests with the agent that is shipped, which carries another C library
	@scripts/setup --test
	@scripts/setup --agent
	scripts/build-agent
	NODE_AGENT="$(CURDIR)/dist/node-agent" cargo test -p node-agent --test agent

test-pi: agent-aarch64 ## Tests the agent for 64-bit Raspberry Pis on an emulated one (minutes, and a big download)
	@scripts/setup --pi
	@scripts/test --pi

verify: ## What must be green before a commit: format, lints, licences, tests
	cargo fmt --all -- --check
	@scripts/setup --verify
	cargo clippy --workspace --all-targets --features coordinator/fault,node-agent/fault -- -D warnings
	PATH="$(CURDIR)/target/tools/bin:$$PATH" cargo deny check bans licenses sources
	@PATH="$(CURDIR)/target/tools/bin:$$PATH"; if cargo deny fetch db >/dev/null 2>&1; then cargo deny check advisories; \
	else echo "the database of advisories cannot be fetched: they are NOT checked" >&2; fi
	@scripts/test

bench: ## Measures placement, the agent, and deploying beside raw ssh and Ansible; fails where a bound is missed
	@scripts/setup --bench
	@$(MAKE) build
	cargo build --release -p e2e
	cargo bench -p coordinator --bench placement
	sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	$$sudo env ORCHESTRATOR_E2E_BINARIES="$(CURDIR)/dist" target/release/e2e bench

router-score: ## Scores the router on recorded outcomes (DATA=folder with gsm8k.jsonl and mmlu.jsonl)
	@test -n "$(DATA)" || { echo "usage: make router-score DATA=folder" >&2; exit 2; }
	cargo run -p llm --example router-score -- "$(DATA)"

LABELS ?= modules/tests/readmes

import-score: ## Scores the importer against the labelled projects in the folder LABELS
	cargo run -p modules --features import --example import-score -- $(LABELS)

build: ## Release binaries in dist/: orchestrator and the node agent beside it
	@scripts/setup --agent
	cargo build --release -p coordinator
	install -D -t dist target/release/orchestrator
	scripts/build-agent
	@! grep -l ORCHESTRATOR_FAULT dist/orchestrator dist/node-agent || \
	{ rm -f dist/orchestrator dist/node-agent; echo "these can be killed at named points, which only tests may do" >&2; exit 1; }

agent-aarch64: ## Also the node agent for 64-bit Raspberry Pis, in dist/
	@scripts/setup --aarch64
	scripts/build-agent aarch64
