.PHONY: help demo demo-local chain test test-stack lint bench lock venv test-unit sandbox-up sandbox-down

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: ## From nothing to a LiteLLM, an OpenClaw and an Open-WebUI that answer (SANDBOX=none KUBECONFIG=… for your own cluster)
	@scripts/demo

demo-local: ## From nothing to a LiteLLM and an Ollama on this machine, without a cluster and without a key
	@scripts/demo-local

chain: venv ## Write CHAINS.md beside the INVENTORY: who answers when who fails, and how fast (no cluster)
	@INVENTORY="$(INVENTORY)" scripts/chain

test: ## Run every test
	@scripts/test

test-unit: venv ## Run the unit tests only
	@.venv/bin/python -m pytest

test-stack: venv ## Try the local stack with a real Ollama and engine; building Ollama takes some minutes, so it is no part of test
	@.venv/bin/python -m pytest tests/stack

lint: venv ## Run every static check
	@.venv/bin/python scripts/lint

bench: ## Print the timings, as ratios against a rival in the same run
	@scripts/bench

venv: ## Make .venv with everything the project needs (idempotent)
	@scripts/venv

lock: venv ## Pin what goes into the sandbox's images, with hashes
	@scripts/lock

sandbox-up: ## Start the sandbox cluster
	@sandbox/sandbox up --verbose

sandbox-down: ## End the sandbox cluster; nothing is left behind
	@sandbox/sandbox down
