# SPDX-License-Identifier: Apache-2.0
#
# Every target installs what it needs first, asking nothing. SWIFT_FLAGS are passed to swift build and swift test:
#     make test SWIFT_FLAGS='--jobs 2'

SWIFT_FLAGS ?=
# The guards of all kinds of data, each of which is fetched only by those who ask for it.
ALL_GUARDS = --enable-all-traits
SOURCES = Package.swift Sources Tests

# One executable that needs no Swift at run time. Apple's systems bring the Swift runtime along. The paths of this folder
# are no business of those who run it.
RELEASE_FLAGS = --configuration release --product redlock -Xswiftc -file-prefix-map -Xswiftc $(CURDIR)=. \
	-Xcc -ffile-prefix-map=$(CURDIR)=. -Xcxx -ffile-prefix-map=$(CURDIR)=. $(SWIFT_FLAGS)
COMMAND = "$$(swift build $(RELEASE_FLAGS) --show-bin-path)/redlock"

# make install PREFIX="$$HOME/.local"    make install SUDO=sudo    make install DESTDIR=/tmp/image PREFIX=/usr
PREFIX ?= /usr/local
DESTDIR ?=
# What stands in front of the steps that write below PREFIX: the build runs without it.
SUDO ?=

# The simulator has mistakes that can be planted, which no other optimised build has; so it is built in its own folder.
SIMULATOR_FLAGS = --configuration release --product RedlockSimulator --scratch-path .build-simulator \
	-Xswiftc -DREDLOCK_PLANTED_BUGS -Xswiftc -enforce-exclusivity=unchecked -Xswiftc -cross-module-optimization \
	$(SWIFT_FLAGS)

# The benchmarks and the C program that they compare with, beside each other.
BENCHMARK_FLAGS = --configuration release $(SWIFT_FLAGS)
# make bench CHECK=1    make bench SHORT=1    make bench BENCH_OPTIONS='--only W2 --rounds 5'
BENCH_OPTIONS ?=

ifeq ($(shell uname -s),Linux)
# No other program looks up symbols in the command, and their table takes its room.
RELEASE_FLAGS += --static-swift-stdlib -Xlinker --no-export-dynamic
BENCHMARK_FLAGS += --static-swift-stdlib
SIMULATOR_FLAGS += --static-swift-stdlib
endif

# The many small objects of a world are allocated quicker where each thread keeps more of the freed ones.
SIMULATOR = GLIBC_TUNABLES=glibc.malloc.tcache_count=2000 "$$(swift build $(SIMULATOR_FLAGS) --show-bin-path)/RedlockSimulator"
# make simulate SEEDS=100000    make simulate SEED=17    make simulate FAULTS=restart,stall
SEEDS ?= 20000

export SWIFT_FLAGS

.NOTPARALLEL:
.PHONY: help build release install uninstall deb test lint check format demo bench election-trial simulator simulate mutants necessity model soak clean
.PHONY: requirements requirements-for-simulator requirements-for-tests

help: ## Lists these targets (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

build: requirements-for-simulator ## Builds everything for debugging
	swift build $(ALL_GUARDS) $(SWIFT_FLAGS)

release: requirements ## Builds the optimised command redlock and prints where it is
	swift build $(RELEASE_FLAGS)
	@echo $(COMMAND)

install: release ## Installs the command, its completions and its manual below PREFIX (/usr/local)
	@$(SUDO) env DESTDIR="$(DESTDIR)" .scripts/install $(COMMAND) "$(PREFIX)"

uninstall: ## Removes what make install installed below PREFIX
	@$(SUDO) env DESTDIR="$(DESTDIR)" .scripts/install --remove "$(PREFIX)"

deb: release ## Makes a package for Debian and Ubuntu, and prints where it is
	@.scripts/package $(COMMAND) .build

test: requirements-for-tests lint check ## Runs everything CI runs: lint, layers, all tests, the demo, the simulation
	@.scripts/test $(ALL_GUARDS)

lint: ## Checks the formatting and the style of the sources
	swift format lint --strict --recursive $(SOURCES)

check: ## Checks the imports between the layers, the public declarations, docker-compose.yml, the Dockerfile and the scripts
	@.scripts/check

format: ## Formats the sources in place
	swift format --in-place --recursive $(SOURCES)

demo: requirements ## Shows the lock at work while servers fail (under a minute once built)
	swift build $(RELEASE_FLAGS)
	@.scripts/demo $(COMMAND)

bench: requirements ## Measures the client against the limit of the servers (a quarter of an hour; a minute with SHORT=1)
	swift build $(BENCHMARK_FLAGS) --product ServerLimit
	swift build $(BENCHMARK_FLAGS) --product RedlockBenchmarks
	@"$$(swift build $(BENCHMARK_FLAGS) --show-bin-path)/RedlockBenchmarks" --json .build/bench.json \
		--html .build/bench.html $(if $(SHORT),--short) $(if $(CHECK),--check) $(BENCH_OPTIONS)

election-trial: requirements-for-tests ## Kills and stops leaders in ten processes, loses nodes, sets clocks (a quarter of an hour)
	swift build --build-tests $(ALL_GUARDS) $(SWIFT_FLAGS)
	REDLOCK_ELECTION_TRIAL=full swift test --skip-build $(ALL_GUARDS) --filter ElectionTrialTests $(SWIFT_FLAGS)

simulator: requirements-for-simulator
	swift build $(SIMULATOR_FLAGS)

simulate: simulator ## Runs the client in SEEDS simulated worlds, or tells of the world of one SEED; only with some FAULTS
	@$(SIMULATOR) simulate --seeds $(SEEDS) $(if $(SEED),--seed $(SEED)) $(if $(FAULTS),--faults $(FAULTS))

mutants: simulator ## Plants mistakes into the client and its scripts, and looks whether the simulation finds them
	@$(SIMULATOR) mutants

necessity: simulator ## Breaks every assumption, with the guard against it and without
	@$(SIMULATOR) necessity

model: simulator ## Tries everything that can happen to a small set of nodes (seven minutes once built)
	@$(SIMULATOR) model

soak: requirements-for-tests ## Runs the long form of the tests of load and deadlines
	REDLOCK_SOAK=1 swift test --no-parallel $(ALL_GUARDS) --filter "SoakTests|LossTests" $(SWIFT_FLAGS)

clean: ## Removes everything that was built
	rm -rf .build .build-simulator

requirements:
	@.scripts/install-requirements

requirements-for-simulator:
	@.scripts/install-requirements simulator

requirements-for-tests:
	@.scripts/install-requirements test
