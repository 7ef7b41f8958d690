# SPDX-License-Identifier: Apache-2.0
#
# Every target installs what it needs first, asking nothing. SWIFT_FLAGS are passed to swift build and swift test:
#     make test SWIFT_FLAGS='--jobs 2'

SWIFT_FLAGS ?=
SOURCES = Package.swift Sources Tests

# One executable that needs no Swift at run time. Apple's systems bring the Swift runtime along.
RELEASE_FLAGS = --configuration release --product redlock $(SWIFT_FLAGS)
ifeq ($(shell uname -s),Linux)
RELEASE_FLAGS += --static-swift-stdlib
endif

MODEL_FLAGS = --configuration release --product RedlockSimulator $(SWIFT_FLAGS)

export SWIFT_FLAGS

.NOTPARALLEL:
.PHONY: help build release test lint check format demo model soak clean requirements requirements-for-tests

help: ## Lists these targets (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

build: requirements ## Builds everything for debugging
	swift build $(SWIFT_FLAGS)

release: requirements ## Builds the optimised command redlock and prints where it is
	swift build $(RELEASE_FLAGS)
	@echo "$$(swift build $(RELEASE_FLAGS) --show-bin-path)/redlock"

test: requirements-for-tests lint check ## Runs everything CI runs: lint, layers, all tests, the demo
	@.scripts/test

lint: ## Checks the formatting and the style of the sources
	swift format lint --strict --recursive $(SOURCES)

check: ## Checks the imports between the layers, and docker-compose.yml
	@.scripts/check

format: ## Formats the sources in place
	swift format --in-place --recursive $(SOURCES)

demo: requirements ## Shows the lock at work while servers fail (under a minute once built)
	swift build $(RELEASE_FLAGS)
	@.scripts/demo "$$(swift build $(RELEASE_FLAGS) --show-bin-path)/redlock"

model: requirements ## Tries everything that can happen to a small set of nodes (two minutes once built)
	swift build $(MODEL_FLAGS)
	@"$$(swift build $(MODEL_FLAGS) --show-bin-path)/RedlockSimulator" model

soak: requirements-for-tests ## Runs the long form of the tests of load and deadlines
	REDLOCK_SOAK=1 swift test --no-parallel --filter "SoakTests|LossTests" $(SWIFT_FLAGS)

clean: ## Removes everything that was built
	rm -rf .build

requirements:
	@.scripts/install-requirements

requirements-for-tests:
	@.scripts/install-requirements test
