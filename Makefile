# jfspre - see README.md; `make help` lists the targets.
# `make demo` and `make check` install what is missing and do the rest.

CC       ?= gcc
CFLAGS   ?= -O2 -g
OWN      := -std=gnu11 -D_GNU_SOURCE -I. -fvisibility=hidden -fPIC -Wall -Wextra -Wshadow \
            -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-unused-parameter -MMD -MP
ifdef WERROR
OWN      += -Werror
endif
ifdef SAN
OWN      += -fsanitize=$(SAN) -fno-omit-frame-pointer
LDFLAGS  += -fsanitize=$(SAN)
endif
B        ?= build$(if $(SAN),-$(subst $(eval ,) ,-,$(SAN)))
GEN      := $(B)/gen

CORE_SRC := $(wildcard core/*/*.c) $(GEN)/lua_dispatch.c
CORE_OBJ := $(patsubst %.c,$(B)/o/%.o,$(patsubst $(B)/%,%,$(CORE_SRC)))
LIB      := $(B)/libcore.a
LIBS     := -lhiredis -lpthread

.PHONY: all
all: $(LIB) ## build everything

$(GEN)/lua_dispatch.c: tools/gen_lua.sh $(wildcard lua/*.lua)
	@mkdir -p $(@D)
	tools/gen_lua.sh $@

$(B)/o/gen/%.o: $(GEN)/%.c
	@mkdir -p $(@D)
	$(CC) $(OWN) $(CFLAGS) -c -o $@ $<

$(B)/o/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(OWN) $(CFLAGS) -c -o $@ $<

$(LIB): $(CORE_OBJ)
	rm -f $@ && ar rcs $@ $^

.PHONY: clean
clean: ## remove what was built
	rm -rf build build-*

-include $(shell find $(B) -name '*.d' 2>/dev/null)
