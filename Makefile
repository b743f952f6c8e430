# The front door. Everything real is in meson.build and tools/; this file names the steps.
#   build/        the release build; the program is build/footbridge
#   build/debug/  with AddressSanitizer and UndefinedBehaviorSanitizer: what the tests run
#   build/fuzz/   clang and libFuzzer
# Steps that make files run as the tree's owner, also under sudo (tools/as-owner).

MAKEFLAGS += --no-print-directory
AS_OWNER := tools/as-owner
PREFIX ?= /usr/local

.PHONY: all help deps deps-build deps-unit deps-demo deps-test build debug demo test unit \
	test-full test-fresh wordpress deps-wordpress extension deps-extension lint bench sim fuzz \
	screenshots install clean

all: build

help:
	@echo "make demo        see a browser tab carry a download (installs what is missing first)"
	@echo "make test        every test in its short form; test-full: the long forms too"
	@echo "make build       build/footbridge          make install   into PREFIX (/usr/local)"
	@echo "make wordpress   the plugin that puts the widget's tag on a page"
	@echo "make extension   one operator's browser extension: OPERATOR=https://operator.example"
	@echo "make lint bench sim fuzz clean                make deps      everything all of these need"
	@echo "make screenshots  the pictures of doc/pictures"

deps: deps-test

deps-build deps-unit deps-demo deps-test deps-wordpress deps-extension:
	@tools/deps $(@:deps-%=%)

build: deps-build
	@$(AS_OWNER) tools/build release

debug: deps-test
	@$(AS_OWNER) tools/build debug

demo: deps-demo
	@$(AS_OWNER) tools/build release
	@$(AS_OWNER) build/footbridge demo --auto --wait 20 $(DEMO)

test: deps-test
	@$(AS_OWNER) tools/test

unit: deps-unit
	@$(AS_OWNER) tools/test unit

# Its result stands in doc/test-full.txt: copy build/test-full.txt there.
test-full: deps-test
	@$(AS_OWNER) sh -c 'tools/test --full; status=$$?; cp build/log/summary.txt build/test-full.txt; \
		exit $$status'
	@tools/test-fresh | tee build/fresh.txt
	@grep -E '^(==|ok|FAIL|[0-9]+ passed)' build/fresh.txt >>build/test-full.txt
	@tail -n 1 build/fresh.txt | grep -q ' 0 failed'

test-fresh:
	@tools/test-fresh

lint: deps-test
	@$(AS_OWNER) tools/test lint

# Whole networks in virtual time; SEEDS=A-B, SIM=--large for thousands of volunteers.
SEEDS ?= 1-200
sim: deps-unit
	@$(AS_OWNER) tools/build debug
	@$(AS_OWNER) mkdir -p build/sim
	@$(AS_OWNER) build/debug/test/sim/sim --jobs $$(nproc) --out build/sim $(SIM) --seeds $(SEEDS)

fuzz: deps-test
	@$(AS_OWNER) env FUZZ_SECONDS=600 tools/test --full fuzz

bench: deps-test
	@$(AS_OWNER) tools/build bench
	@$(AS_OWNER) node test/bench/bench.mjs $(BENCH)

# A plugin that puts the widget's tag on WordPress's pages: build/footbridge-widget.zip.
wordpress: deps-wordpress
	@$(AS_OWNER) tools/wordpress

# build/extension/chromium.zip and firefox.zip (doc/extension.md). EGRESSES: the wss://HOST of those
# that are elsewhere, separated by spaces.
extension: deps-extension
	@$(AS_OWNER) tools/build release
	@$(AS_OWNER) tools/extension "$(OPERATOR)" "$(EGRESSES)"

screenshots: deps-test
	@$(AS_OWNER) node test/browser/screenshots.mjs

install: build
	@$(AS_OWNER) meson configure build -Dprefix=$(PREFIX)
	@$(AS_OWNER) ninja -C build --quiet
	meson install -C build --no-rebuild --quiet

clean:
	rm -rf build
