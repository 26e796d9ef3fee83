# What is done here, by people and by machines. `make` alone explains.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test lint generated prices compatibility bench fuzz

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

run: ## Build the gateway and start it on http://127.0.0.1:8080; needs no account: without keys the demo provider answers
	cargo run --release --locked --package lingate -- serve

test: ## Prove that it works: Rust tests, the official SDKs, the OpenAPI document, the corpus and the README against the running binary
	tests/needs
	cargo test --workspace --locked
	cargo build --workspace --locked
	tests/sdk/run.sh
	tests/api/run.sh
	tests/corpus/run.sh
	tests/docs/readme.py

lint: ## Format, clippy, dependency arrows and house rules, generated references, licences, shell scripts
	cargo fmt --all --check
	cargo fmt --check --manifest-path bench/Cargo.toml
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo check --manifest-path fuzz/Cargo.toml --target-dir "$${CARGO_TARGET_DIR:-target}" --locked
	cargo clippy --manifest-path bench/Cargo.toml --target-dir "$${CARGO_TARGET_DIR:-target}" --all-targets --locked -- -D warnings
	tests/house/check.py
	cargo test --quiet --locked --package lingate --bin lingate generated
	cargo run --quiet --locked --package lingate-xtask -- prices --check
	if command -v cargo-deny >/dev/null; then cargo deny check bans licenses sources; else echo 'cargo-deny is not installed: licences and duplicates are not checked'; fi
	if command -v shellcheck >/dev/null; then git ls-files -z '*.sh' .ci/run tests/needs | xargs -0 shellcheck; else echo 'shellcheck is not installed: shell scripts are not checked'; fi

generated: ## Write the references in docs/ again: configuration keys and their schema, commands, providers
	LINGATE_BLESS=1 cargo test --quiet --locked --package lingate --bin lingate generated

prices: ## Build the list of prices again, from the facts in ../shared/data and our overlay
	cargo run --quiet --locked --package lingate-xtask -- prices

compatibility: ## Measure again which client reads what, and write docs/compatibility.md
	cargo build --workspace --locked
	LINGATE_BLESS=1 tests/sdk/run.sh --matrix

bench: ## Measure the cost beside a bare proxy (8 minutes on a quiet machine); bench/run.py --quick takes 2
	bench/run.py

fuzz: ## Throw broken input at every decoder, a minute each; needs a nightly compiler
	command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
	for target in $$(cargo +nightly fuzz list); do mkdir -p "fuzz/corpus/$$target"; cargo +nightly fuzz run "$$target" "fuzz/corpus/$$target" "fuzz/seeds/$$target" -- -max_total_time=60; done
