# What one does in this repository. The longer steps are scripts in infra/, which run from any folder.
launcher := $(or $(CARGO_TARGET_DIR),target)/debug/local

.DEFAULT_GOAL := help
.PHONY: help run down test check audit bench soak fuzz build fmt prepare invoke deploy clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

run: ## The whole bundle on this machine, until Ctrl-C (PORT_BASE=9700 for other ports, ARGS for other options)
	@cargo build --workspace --bins
	@$(launcher) up --no-build $(if $(PORT_BASE),--port-base $(PORT_BASE)) $(ARGS)

down: $(launcher) ## Stop a stack whose `make run` was killed
	@$(launcher) down $(ARGS)

# Only when there is none: what stops a stack need not be the newest.
$(launcher):
	@cargo build --quiet --workspace --bin local

test: ## Every test but a try of the bench, against a stack of its own (ARGS="-E 'test(outage)'" for some)
	@infra/test.sh $(ARGS)

check: ## What must pass before a commit: format, lints, audit, templates, query cache, tests
	@infra/check.sh
	@infra/test.sh

audit: ## Crates (advisories, bans, licences, sources) and secrets in files
	@infra/audit.sh

bench: ## Measure, and write infra/bench/RESULTS.md (takes minutes; the machine should do nothing else)
	@infra/bench.sh $(ARGS)

soak: ## 20,000 messages and 60,000 statuses while workers and PostgreSQL are killed
	@SOAK_SCALE=1 infra/test.sh -E 'package(tests) & test(soak)' $(ARGS)

fuzz: ## Bytes that break what reads strangers' bytes: a minute a target (FUZZ_SECONDS=600 for ten, ARGS="csv" for one)
	@infra/fuzz.sh $(ARGS)

build: ## The Lambda binaries as they are deployed, in target/lambda/
	@infra/package.sh

fmt: ## Format the Rust code
	@cargo fmt --all

prepare: ## Write .sqlx again, after a change to a query or to the schema
	@infra/prepare.sh

invoke: ## Call one function of the running stack: FUNCTION=webhook-meta EVENT=events/webhook-meta/….json
	@infra/invoke.sh "$(FUNCTION)" "$(EVENT)"

deploy: build ## Build, then deploy to AWS: ENVIRONMENT=staging (see infra/docs/deploy.md)
	@infra/deploy.sh "$(ENVIRONMENT)"

clean: ## Stop every local stack, delete its data and what was built; fetched tools stay
	@infra/clean.sh
