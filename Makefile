# jfspre - see README.md; `make help` lists the targets.
# `make demo` and `make check` install what is missing and do the rest.
#
# Everything made goes below build/.  CFLAGS, CPPFLAGS, LDFLAGS and CC are the user's; what the
# project needs is in OWN.  preload/preload.mk and tools/tools.mk add what they build to ALL.

CC       ?= gcc
ifeq ($(origin CC),default)
CC       := gcc
endif
CFLAGS   ?= -O2 -g
PREFIX   ?= /usr/local
JOBS     ?= $(shell nproc)
QUIET    := $(if $(V),,-s) # V=1 shows the commands where a target builds on its way

comma    := ,
B        ?= build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))
GEN      := $(B)/gen

WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
            -Wno-unused-parameter $(if $(WERROR),-Werror)
OWN      := -std=gnu11 -D_GNU_SOURCE -I. -I$(B) -fvisibility=hidden -fPIC $(WARN) -MMD -MP \
            $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)

CORE_SRC := $(wildcard core/*/*.c) $(GEN)/lua_dispatch.c
CORE_OBJ := $(patsubst %.c,$(B)/o/%.o,$(patsubst $(B)/%,%,$(CORE_SRC)))
LIB      := $(B)/libcore.a
LIBS     := -lhiredis -lpthread
ALL      := $(LIB)

.DEFAULT_GOAL := all
.PHONY: all check memcheck tests lint fmt bench demo install deps clean help FORCE
.DELETE_ON_ERROR:
.SECONDARY:

-include preload/preload.mk tools/tools.mk

# What was built with other flags or another compiler is built again.
FLAGS    := $(CC) $(OWN) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS)
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(FLAGS)' | cmp -s - $@ || printf '%s\n' '$(FLAGS)' >$@

$(GEN)/lua_dispatch.c: tools/gen_lua.sh $(wildcard lua/*.lua)
	@mkdir -p $(@D)
	tools/gen_lua.sh $@

$(B)/o/gen/%.o: $(GEN)/%.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(OWN) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(B)/o/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(OWN) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(LIB): $(CORE_OBJ)
	rm -f $@ && ar rcs $@ $^

include tests/tests.mk

all: $(ALL) ## build the library and the command into build/

tests: all $(TESTS) ## build the test programs

check: ## install what is missing, build and run every test (T=name: those that match; SAN=...)
	@tools/install_deps.sh check
	@$(MAKE) $(QUIET) --no-print-directory -j$(JOBS) tests
	@B='$(B)' SAN='$(SAN)' tests/run '$(T)'

memcheck: ## the unit and core tests under valgrind (T=name)
	@tools/install_deps.sh memcheck
	@$(MAKE) $(QUIET) --no-print-directory -j$(JOBS) tests
	@B='$(B)' MEMCHECK=1 tests/run '$(T)'

lint: ## formatting, layers, exports, headers, cppcheck, scripts; both compilers without a warning
	@tools/install_deps.sh lint
	@tools/lint.sh

fmt: ## format the C sources in place
	git ls-files '*.c' '*.h' | xargs clang-format -i

demo: ## install what is missing, unpack an archive into a volume, check it (ARCHIVE=x.tar ENGINE=redis)
	@tools/install_deps.sh demo$(if $(filter redis,$(ENGINE)),-redis)
	@$(MAKE) $(QUIET) --no-print-directory -j$(JOBS) all
	@B='$(B)' ARCHIVE='$(ARCHIVE)' ENGINE='$(or $(ENGINE),lmdb)' tools/demo.sh

bench: ## what it costs, as ratios within one run (RUNS=5, RTT_MS=1 adds a delayed round)
	@tools/install_deps.sh check
	@$(MAKE) $(QUIET) --no-print-directory -j$(JOBS) all $(B)/t/fault_proxy
	@B='$(B)' tools/bench/run

VERSION = $(shell sed -n 's/^\#define JFSPRE_VERSION "\(.*\)"$$/\1/p' tools/cmd.h)

install: all ## copy the library, the command and jfspre.h below DESTDIR and PREFIX
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/lib/pkgconfig' '$(DESTDIR)$(PREFIX)/include'
	install -m 755 $(B)/jfspre '$(DESTDIR)$(PREFIX)/bin/jfspre'
	install -m 755 $(B)/libjfspre.so '$(DESTDIR)$(PREFIX)/lib/libjfspre.so'
	install -m 644 include/jfspre.h '$(DESTDIR)$(PREFIX)/include/jfspre.h'
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' include/jfspre.pc.in >'$(DESTDIR)$(PREFIX)/lib/pkgconfig/jfspre.pc'

deps: ## install what building needs, or say what it is
	@tools/install_deps.sh build

clean: ## remove what was built
	rm -rf build

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

-include $(shell find $(B) -name '*.d' 2>/dev/null)
