.PHONY: help demo test lint bench lock venv test-unit sandbox-up sandbox-down

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: ## From nothing to a LiteLLM that answers (SANDBOX=none KUBECONFIG=… for your own cluster)
	@scripts/demo

test: ## Run every test
	@scripts/test

test-unit: venv ## Run the unit tests only
	@.venv/bin/python -m pytest

lint: venv ## Run every static check
	@.venv/bin/python scripts/lint

bench: venv ## Print the timings, as ratios against a rival in the same run
	@.venv/bin/python scripts/bench

venv: ## Make .venv with everything the project needs (idempotent)
	@scripts/venv

lock: venv ## Pin what goes into the sandbox's images, with hashes
	@scripts/lock

sandbox-up: ## Start the sandbox cluster
	@sandbox/sandbox up --verbose

sandbox-down: ## End the sandbox cluster; nothing is left behind
	@sandbox/sandbox down
